//! Makes a user from claims. They give the name, the groups, the attributes, and whether the user is an administrator.

use std::collections::BTreeMap;

use portcullis_sdk::User;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::claims::Claims;
use crate::claims::path::ClaimPath;
use crate::error::TokenError;

/// The longest name that the gateway accepts, in bytes.
const MAX_NAME: usize = 256;

/// The longest value of an attribute that the gateway accepts, in bytes.
const MAX_ATTRIBUTE: usize = 4096;

/// One claim, or several of which the first that is present is used.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a claim or a list of claims, with a name between all dots"
)]
#[non_exhaustive]
pub enum FirstOf {
    /// Several claims.
    Many(Vec<ClaimPath>),
    /// One claim.
    One(ClaimPath),
}

impl FirstOf {
    pub(crate) fn paths(&self) -> &[ClaimPath] {
        match self {
            Self::Many(paths) => paths,
            Self::One(path) => std::slice::from_ref(path),
        }
    }
}

/// The claims that a user is made from.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) user: FirstOf,
    pub(crate) groups: Option<ClaimPath>,
    pub(crate) admin: Option<ClaimPath>,
    pub(crate) admin_groups: Vec<String>,
    pub(crate) attributes: BTreeMap<String, ClaimPath>,
}

impl Mapping {
    /// Returns the user that the claims describe. If a claim has an unsuitable value, the token is refused, since the
    /// user would be incomplete.
    pub(crate) fn user(&self, claims: &Claims, prefix: &str) -> Result<User, TokenError> {
        let groups = self.groups(claims)?;
        let admin = self.is_admin(claims) || groups.iter().any(|group| self.admin_groups.contains(group));
        let mut user = User::new(self.name(claims, prefix)?).with_groups(groups).admin(admin);
        for (name, path) in &self.attributes {
            if let Some(value) = claims.find(path) {
                user = user.with_attribute(name, attribute(path, value)?);
            }
        }
        Ok(user)
    }

    fn name(&self, claims: &Claims, prefix: &str) -> Result<String, TokenError> {
        let paths = self.user.paths();
        let Some((path, value)) = paths.iter().find_map(|path| Some((path, claims.find(path)?))) else {
            let last = paths.last().map(ClaimPath::to_string).unwrap_or_default();
            return Err(TokenError::Claim(last, "is missing (settings: user_claim)"));
        };
        match value.as_str() {
            Some(name) if !name.is_empty() && prefix.len() + name.len() <= MAX_NAME && is_printable(name) => {
                Ok(format!("{prefix}{name}"))
            }
            _ => Err(TokenError::Claim(
                path.to_string(),
                "is not a name: a string of 1 to 256 bytes without control characters",
            )),
        }
    }

    /// The groups, from a string or a list of strings.
    fn groups(&self, claims: &Claims) -> Result<Vec<String>, TokenError> {
        let Some((path, value)) = self.groups.as_ref().and_then(|path| Some((path, claims.find(path)?))) else {
            return Ok(Vec::new());
        };
        let groups: Option<Vec<_>> = match value {
            Value::Array(groups) => groups.iter().map(group).collect(),
            one => group(one).map(|one| vec![one]),
        };
        groups.ok_or_else(|| TokenError::Claim(path.to_string(), "is neither a group nor a list of groups"))
    }

    /// Only `true` makes an administrator, not the string `"true"`.
    fn is_admin(&self, claims: &Claims) -> bool {
        self.admin.as_ref().and_then(|path| claims.find(path)) == Some(&Value::Bool(true))
    }
}

fn group(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|group| !group.is_empty() && is_printable(group))
        .map(str::to_owned)
}

fn attribute(path: &ClaimPath, value: &Value) -> Result<String, TokenError> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => {
            return Err(TokenError::Claim(
                path.to_string(),
                "is neither a string, a number nor a boolean",
            ));
        }
    };
    if text.len() <= MAX_ATTRIBUTE && is_printable(&text) {
        Ok(text)
    } else {
        Err(TokenError::Claim(
            path.to_string(),
            "is longer than 4 KiB or has control characters",
        ))
    }
}

/// Returns whether a text can become a header for the upstream: it must have no line breaks and no other control
/// characters.
fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(path: &str) -> ClaimPath {
        ClaimPath::try_from(path.to_owned()).unwrap()
    }

    fn user(claims: &Value) -> Result<User, String> {
        let mapping = Mapping {
            user: FirstOf::Many(vec![path("email"), path("sub")]),
            groups: Some(path("realm.groups")),
            admin: Some(path("is_admin")),
            admin_groups: vec!["root".to_owned()],
            attributes: [("mail".to_owned(), path("email")), ("level".to_owned(), path("level"))].into(),
        };
        let claims = Claims::from_verified(claims.to_string().as_bytes()).unwrap();
        mapping.user(&claims, "corp:").map_err(|error| error.to_string())
    }

    #[test]
    fn claims_become_a_user() {
        let cases = [
            (json!({"sub": "a"}), User::new("corp:a")),
            (json!({"sub": "a", "email": null}), User::new("corp:a")),
            (
                json!({"sub": "a", "email": "a@b", "level": 3}),
                User::new("corp:a@b")
                    .with_attribute("level", "3")
                    .with_attribute("mail", "a@b"),
            ),
            (
                json!({"sub": "a", "realm": {"groups": ["x", "y"]}}),
                User::new("corp:a").with_groups(["x", "y"]),
            ),
            (
                json!({"sub": "a", "realm": {"groups": "x"}}),
                User::new("corp:a").with_groups(["x"]),
            ),
            (
                json!({"sub": "a", "realm": {"groups": ["root"]}}),
                User::new("corp:a").with_groups(["root"]).admin(true),
            ),
            (json!({"sub": "a", "is_admin": true}), User::new("corp:a").admin(true)),
            (json!({"sub": "a", "is_admin": "true"}), User::new("corp:a")),
            (json!({"sub": "a", "is_admin": 1}), User::new("corp:a")),
            (
                json!({"sub": "a", "level": false}),
                User::new("corp:a").with_attribute("level", "false"),
            ),
        ];
        for (claims, expected) in cases {
            assert_eq!(user(&claims), Ok(expected), "{claims}");
        }
    }

    /// Security case 44: the value of a claim may end up in a header.
    #[test]
    fn a_token_with_unsuitable_claims_is_refused() {
        let cases = [
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": ["a"]}),
            json!({"sub": "a\r\nX-User: root"}),
            json!({"sub": "a\u{0}"}),
            json!({"sub": "a\u{85}"}),
            json!({"sub": "x".repeat(252)}),
            json!({"email": "", "sub": "a"}),
            json!({"email": 1, "sub": "a"}),
            json!({"sub": "a", "realm": {"groups": {"x": 1}}}),
            json!({"sub": "a", "realm": {"groups": ["x", 1]}}),
            json!({"sub": "a", "realm": {"groups": ["x\n"]}}),
            json!({"sub": "a", "realm": {"groups": [""]}}),
            json!({"sub": "a", "level": "1\n2"}),
            json!({"sub": "a", "level": "x".repeat(4097)}),
            json!({"sub": "a", "level": [1]}),
        ];
        for claims in cases {
            assert!(user(&claims).is_err(), "{claims}");
        }
        assert_eq!(user(&json!({"sub": "x".repeat(251)})).unwrap().name.len(), 256);
    }
}
