//! Who sent a request. The gateway checks the bounds named here; a user that breaks them is no user.

/// The longest name that the gateway takes, in bytes.
const MAX_NAME: usize = 256;

/// Who sent a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// Not empty, at most 256 bytes, no control characters.
    pub name: String,
    /// The groups that the identity provider puts the user in.
    pub groups: Vec<String>,
    /// Whether the identity provider calls this user an administrator.
    pub admin: bool,
    /// Further facts by name, such as an e-mail address: at most 64, each name at most 256 bytes and each value at
    /// most 4 KiB.
    pub attributes: Vec<(String, String)>,
}

impl User {
    /// A user whose name comes from outside, without groups or attributes, and no administrator.
    ///
    /// # Errors
    ///
    /// When the gateway would refuse the name: it is empty, longer than 256 bytes or has control characters. Spaces at
    /// its ends are refused too, since a header that carries the name loses them and it would become another's.
    pub fn parse(name: impl Into<String>) -> Result<Self, &'static str> {
        match name.into() {
            name if name.is_empty() => Err("the user name is empty"),
            name if name.len() > MAX_NAME => Err("the user name is longer than 256 bytes"),
            name if name.chars().any(char::is_control) => Err("the user name has control characters"),
            name if name.trim().len() < name.len() => Err("the user name has spaces at its ends"),
            name => Ok(Self::new(name)),
        }
    }

    /// A user without groups or attributes, and no administrator.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Puts the user in these groups as well.
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.groups.extend(groups.into_iter().map(Into::into));
        self
    }

    /// Says whether the user is an administrator.
    pub const fn admin(mut self, admin: bool) -> Self {
        self.admin = admin;
        self
    }

    /// Adds one fact.
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_is_one_that_the_gateway_takes() {
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
