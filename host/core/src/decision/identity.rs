//! The user that an authenticator identified. A plugin's output is untrusted until it has been checked and converted to
//! an [`Identity`].

use serde::{Deserialize, Serialize};

/// The longest user name, in bytes.
pub const MAX_NAME: usize = 256;
/// The most groups of one user. Directories of companies have users with 1,500.
pub const MAX_GROUPS: usize = 4096;
/// The longest group name, in bytes. Some providers name a group by its path in a directory.
pub const MAX_GROUP: usize = 1024;
/// The most attributes of one user.
pub const MAX_ATTRIBUTES: usize = 64;
/// The longest attribute name, in bytes.
pub const MAX_ATTRIBUTE_NAME: usize = 256;
/// The longest attribute value, in bytes.
pub const MAX_ATTRIBUTE_VALUE: usize = 4 * 1024;
/// The largest identity: the sum of all its texts, in bytes.
pub const MAX_IDENTITY: usize = 256 * 1024;

/// A user: a name, groups and attributes, all within bounds and without control characters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Claims")]
pub struct Identity {
    name: String,
    groups: Vec<String>,
    admin: bool,
    attributes: Vec<(String, String)>,
}

impl Identity {
    /// The user's name: 1 to [`MAX_NAME`] bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's groups, in the authenticator's order.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether the authenticator reports the user as an administrator.
    pub fn admin(&self) -> bool {
        self.admin
    }

    /// The attributes: pairs of name and value, such as an e-mail address.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The approximate size of all texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        let groups = self.groups.iter().map(|group| size_of::<String>() + group.len());
        let attributes = self.attributes();
        let attributes = attributes.map(|(name, value)| 2 * size_of::<String>() + name.len() + value.len());
        self.name.len() + groups.sum::<usize>() + attributes.sum::<usize>()
    }

    /// The value of the first attribute of this name. `None` if there is no such attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

/// Claims about a user that have not been checked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "built by callers that have claims to check")]
pub struct Claims {
    /// The user's name.
    pub name: String,
    /// The user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether the user is an administrator.
    #[serde(default)]
    pub admin: bool,
    /// The attributes: pairs of name and value.
    #[serde(default)]
    pub attributes: Vec<(String, String)>,
}

impl TryFrom<Claims> for Identity {
    type Error = UnusableIdentity;

    fn try_from(claims: Claims) -> Result<Self, UnusableIdentity> {
        let Claims {
            name,
            groups,
            admin,
            attributes,
        } = claims;
        bounded("user name", &name, MAX_NAME)?;
        at_most("groups", groups.len(), MAX_GROUPS)?;
        at_most("attributes", attributes.len(), MAX_ATTRIBUTES)?;
        let mut size = name.len();
        for group in &groups {
            bounded("group name", group, MAX_GROUP)?;
            size += group.len();
        }
        check_attributes(&attributes)?;
        size += attributes
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
        at_most("bytes of name, groups and attributes", size, MAX_IDENTITY)?;
        Ok(Self {
            name,
            groups,
            admin,
            attributes,
        })
    }
}

/// Checks names and values, but not how many there are.
pub(crate) fn check_attributes(attributes: &[(String, String)]) -> Result<(), UnusableIdentity> {
    for (name, value) in attributes {
        bounded("attribute name", name, MAX_ATTRIBUTE_NAME)?;
        printable("attribute value", value, MAX_ATTRIBUTE_VALUE)?;
    }
    Ok(())
}

/// A text of 1 to `most` bytes without control characters.
fn bounded(what: &'static str, text: &str, most: usize) -> Result<(), UnusableIdentity> {
    if text.is_empty() {
        return Err(UnusableIdentity::Empty(what));
    }
    printable(what, text, most)
}

/// A text of at most `most` bytes without control characters, which could end a header or a line of a log.
fn printable(what: &'static str, text: &str, most: usize) -> Result<(), UnusableIdentity> {
    if text.len() > most {
        let found = text.len();
        return Err(UnusableIdentity::Long { what, found, most });
    }
    if text.chars().any(char::is_control) {
        return Err(UnusableIdentity::ControlCharacter(what));
    }
    Ok(())
}

const fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), UnusableIdentity> {
    if found > most {
        return Err(UnusableIdentity::TooMany { what, found, most });
    }
    Ok(())
}

/// Why claims can't be converted to an [`Identity`]. The text doesn't repeat the claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableIdentity {
    /// A text has a control character.
    #[error("the {0} has a control character")]
    ControlCharacter(&'static str),
    /// A text is empty.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// A text is too long.
    #[error("the {what} has {found} bytes, and at most {most} are accepted")]
    Long {
        /// The part of the identity.
        what: &'static str,
        /// The length of the text in bytes.
        found: usize,
        /// The bound in bytes.
        most: usize,
    },
    /// There are too many parts of a kind.
    #[error("the user has {found} {what}, and at most {most} are accepted")]
    TooMany {
        /// The kind.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The bound.
        most: usize,
    },
}

#[cfg(test)]
mod tests;
