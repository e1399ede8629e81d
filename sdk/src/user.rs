//! The user who sent a request. The gateway rejects a user that exceeds the limits given here.

/// The longest name that the gateway accepts, in bytes.
const MAX_NAME: usize = 256;

/// The user who sent a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// The user name: not empty, at most 256 bytes, without control characters.
    pub name: String,
    /// The groups that the identity provider puts the user in.
    pub groups: Vec<String>,
    /// Whether the identity provider calls this user an administrator.
    pub admin: bool,
    /// Further attributes, such as an e-mail address: at most 64, with names of at most 256 bytes and values of at most
    /// 4 KiB.
    pub attributes: Vec<(String, String)>,
}

impl User {
    /// Makes a user from an untrusted name, without groups or attributes, who is not an administrator.
    ///
    /// # Errors
    ///
    /// Returns an error if the gateway would reject the name, because it is empty, longer than 256 bytes or has control
    /// characters. Whitespace at either end is an error too: a header that carries the name would lose it, and the name
    /// would become another user's.
    pub fn parse(name: impl Into<String>) -> Result<Self, &'static str> {
        match name.into() {
            name if name.is_empty() => Err("the user name is empty"),
            name if name.len() > MAX_NAME => Err("the user name is longer than 256 bytes"),
            name if name.chars().any(char::is_control) => Err("the user name has control characters"),
            name if name.trim().len() < name.len() => Err("the user name starts or ends with whitespace"),
            name => Ok(Self::new(name)),
        }
    }

    /// Makes a user without groups or attributes, who is not an administrator.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Adds the user to these groups.
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.groups.extend(groups.into_iter().map(Into::into));
        self
    }

    /// Sets whether the user is an administrator.
    pub const fn admin(mut self, admin: bool) -> Self {
        self.admin = admin;
        self
    }

    /// Adds an attribute.
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_only_names_that_the_gateway_accepts() {
        let longest = "n".repeat(256);
        for name in ["a", "j\u{e4}n", "a b", "service:x", "a@b", &longest] {
            assert_eq!(User::parse(name), Ok(User::new(name)), "{name}");
        }
        for name in [
            "",
            "a\0",
            "a\r\nb",
            " a",
            "a ",
            "\u{a0}a",
            &"n".repeat(257),
            &"\u{e4}".repeat(129),
        ] {
            assert!(User::parse(name).is_err(), "{name}");
        }
    }
}
