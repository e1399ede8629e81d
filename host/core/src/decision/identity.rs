//! The user that an authenticator identified. A plugin's output is untrusted until it has been checked and converted to
//! an [`Identity`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest user name, in bytes.
pub const MAX_NAME: usize = 256;
/// The most groups of one user.
pub const MAX_GROUPS: usize = 1024;
/// The most attributes of one user.
pub const MAX_ATTRIBUTES: usize = 64;
/// The longest attribute value, in bytes.
pub const MAX_ATTRIBUTE_VALUE: usize = 4 * 1024;
/// The largest identity: the sum of all its texts, in bytes.
pub const MAX_IDENTITY: usize = 64 * 1024;

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
        let texts = || {
            let attributes = claims.attributes.iter().flat_map(|(name, value)| [name, value]);
            claims.groups.iter().chain(attributes).chain([&claims.name])
        };
        if claims.name.is_empty() {
            return Err(UnusableIdentity("the user name is empty"));
        }
        if claims.name.len() > MAX_NAME {
            return Err(UnusableIdentity("the user name is longer than 256 bytes"));
        }
        if claims.groups.len() > MAX_GROUPS {
            return Err(UnusableIdentity("the user is in more than 1024 groups"));
        }
        if claims
            .groups
            .iter()
            .any(|group| group.is_empty() || group.len() > MAX_NAME)
        {
            return Err(UnusableIdentity("a group name is empty or longer than 256 bytes"));
        }
        if claims.attributes.len() > MAX_ATTRIBUTES {
            return Err(UnusableIdentity("the user has more than 64 attributes"));
        }
        if claims
            .attributes
            .iter()
            .any(|(name, _)| name.is_empty() || name.len() > MAX_NAME)
        {
            return Err(UnusableIdentity("an attribute name is empty or longer than 256 bytes"));
        }
        if claims
            .attributes
            .iter()
            .any(|(_, value)| value.len() > MAX_ATTRIBUTE_VALUE)
        {
            return Err(UnusableIdentity("an attribute value is longer than 4 KiB"));
        }
        if texts().map(String::len).sum::<usize>() > MAX_IDENTITY {
            return Err(UnusableIdentity("the identity is larger than 64 KiB"));
        }
        if texts().any(|text| text.chars().any(char::is_control)) {
            return Err(UnusableIdentity("a name, group or attribute has a control character"));
        }
        Ok(Self {
            name: claims.name,
            groups: claims.groups,
            admin: claims.admin,
            attributes: claims.attributes,
        })
    }
}

/// Why claims can't be converted to an [`Identity`]. The text doesn't repeat the claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnusableIdentity(&'static str);

impl fmt::Display for UnusableIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl std::error::Error for UnusableIdentity {}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(name: &str) -> Claims {
        Claims {
            name: name.to_owned(),
            ..Claims::default()
        }
    }

    #[test]
    fn names_of_every_script_are_kept_as_they_are() {
        for name in ["alice", "müller", "Δημήτρης", "service:any", "a b", "a@example.com"] {
            assert_eq!(Identity::try_from(claims(name)).unwrap().name(), name);
        }
    }

    #[test]
    fn what_could_be_mistaken_downstream_is_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        let cases = [
            claims(""),
            claims("alice\r\nX-Admin: 1"),
            claims("alice\0"),
            claims("alice\u{85}"),
            claims(&long),
            Claims {
                groups: vec![String::new()],
                ..claims("alice")
            },
            Claims {
                groups: vec!["a\nb".into()],
                ..claims("alice")
            },
            Claims {
                groups: vec!["g".into(); MAX_GROUPS + 1],
                ..claims("alice")
            },
            Claims {
                attributes: vec![("email".into(), "a\tb".into())],
                ..claims("alice")
            },
            Claims {
                attributes: vec![(String::new(), "b".into())],
                ..claims("alice")
            },
            Claims {
                attributes: vec![("a".into(), "b".into()); MAX_ATTRIBUTES + 1],
                ..claims("alice")
            },
            Claims {
                attributes: vec![("a".into(), "b".repeat(MAX_ATTRIBUTE_VALUE + 1))],
                ..claims("alice")
            },
            Claims {
                attributes: vec![("a".into(), "b".repeat(MAX_ATTRIBUTE_VALUE)); 17],
                ..claims("alice")
            },
        ];
        for case in cases {
            assert!(Identity::try_from(case.clone()).is_err(), "{case:?}");
        }
    }
}
