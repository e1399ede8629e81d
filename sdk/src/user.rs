//! The user who sent a request. The gateway denies a user that exceeds the limits given here.

use crate::log;

/// The longest name that the gateway accepts, in bytes.
const MAX_NAME: usize = 256;
/// The longest group name, in bytes.
const MAX_GROUP: usize = 1024;
/// The longest value of an attribute, in bytes.
const MAX_ATTRIBUTE_VALUE: usize = 4 * 1024;

/// The user who sent a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// The user name: not empty, at most 256 bytes, without control characters.
    pub name: String,
    /// The groups that the identity provider puts the user in: at most 4096, with names of 1 to 1024 bytes.
    pub groups: Vec<String>,
    /// Whether the identity provider calls this user an administrator.
    pub admin: bool,
    /// Further attributes, such as an e-mail address: at most 64, with names of at most 256 bytes and values of at most
    /// 4 KiB.
    pub attributes: Vec<(String, String)>,
}

impl User {
    /// The most groups that the gateway accepts.
    pub const MAX_GROUPS: usize = 4096;

    /// The most bytes of name, groups and attributes together that the gateway accepts.
    pub const MAX_SIZE: usize = 256 * 1024;

    /// The bytes of name, groups and attributes together.
    pub fn size(&self) -> usize {
        let groups = self.groups.iter().map(String::len).sum::<usize>();
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len());
        self.name.len() + groups + attributes.sum::<usize>()
    }

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

    /// Adds the user to those of the groups whose names aren't empty and not too long, and leaves the others out. A line of
    /// the log at `debug` says how many.
    ///
    /// Providers send such names. With [`Self::with_groups`], the gateway denies the user. It also denies a user with a
    /// control character in a name, which is kept here: it may be an attempt to add a line to the upstream's request.
    pub fn with_usable_groups(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let before = self.groups.len();
        let mut given = 0_usize;
        let groups = groups.into_iter().map(Into::into).inspect(|_| given += 1);
        self.groups
            .extend(groups.filter(|group| (1..=MAX_GROUP).contains(&group.len())));
        let unusable = given - (self.groups.len() - before);
        if unusable > 0 {
            log::debug(format!(
                "{unusable} of {given} groups are left out: a name has 1 to {MAX_GROUP} bytes"
            ));
        }
        self
    }

    /// Adds an attribute if its value isn't too long, and leaves it out otherwise. A line of the log at `debug` says so. The
    /// gateway denies a user with a control character in a value.
    pub fn with_usable_attribute(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        if value.len() <= MAX_ATTRIBUTE_VALUE {
            return self.with_attribute(name, value);
        }
        log::debug(format!("the attribute {name} is left out: it is longer than 4 KiB"));
        self
    }

    /// Whether the user is in this group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
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
    use crate::testing::FakeHost;

    #[test]
    fn what_the_gateway_does_not_accept_is_left_out_and_said() {
        let host = FakeHost::start();
        let long = |length: usize| "x".repeat(length);
        let groups = ["a".to_owned(), String::new(), "b\nc".to_owned(), long(1024), long(1025)];
        let user = User::new("u")
            .with_usable_groups(groups)
            .with_usable_attribute("e", "")
            .with_usable_attribute("f", long(4096))
            .with_usable_attribute("g", long(4097))
            .with_usable_attribute("h", "\u{85}");
        let expected = User::new("u").with_groups(["a".to_owned(), "b\nc".to_owned(), long(1024)]);
        let expected = expected.with_attribute("e", "").with_attribute("f", long(4096));
        assert_eq!(user, expected.with_attribute("h", "\u{85}"));
        let lines = Vec::from_iter(host.log().into_iter().map(|(_, line)| line));
        assert_eq!(
            lines,
            [
                "2 of 5 groups are left out: a name has 1 to 1024 bytes",
                "the attribute g is left out: it is longer than 4 KiB",
            ]
        );
    }

    #[test]
    fn the_size_is_that_of_all_texts() {
        let user = User::new("ab").with_groups(["c", "\u{e4}"]).with_attribute("d", "ef");
        assert_eq!(user.size(), 2 + 1 + 2 + 1 + 2);
    }

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
