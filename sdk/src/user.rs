//! Who sent a request. The gateway checks the bounds named here; a user that breaks them is no user.

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
