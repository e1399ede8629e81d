//! Makes a user from claims. They give the name, the groups, the attributes, and whether the user is an administrator.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_sdk::SettingsError;
use portcullis_sdk::User;
use portcullis_sdk::cache;
use portcullis_sdk::log;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::claims::Claims;
use crate::claims::path::ClaimPath;
use crate::error::TokenError;
use crate::text::quoted;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The maximum number of attributes of a user.
const MAX_ATTRIBUTES: usize = 64;

/// The longest name that the gateway accepts, in bytes.
const MAX_NAME: usize = 256;

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
    /// The claims, in order.
    pub fn paths(&self) -> &[ClaimPath] {
        match self {
            Self::Many(paths) => paths,
            Self::One(path) => std::slice::from_ref(path),
        }
    }
}

/// The claims that a user is made from.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The claims of the name.
    pub user: FirstOf,
    /// The claim of the groups.
    pub groups: Option<ClaimPath>,
    /// The claim that is `true` for an administrator.
    pub admin: Option<ClaimPath>,
    /// Groups whose members are administrators.
    pub admin_groups: Vec<String>,
    /// Attributes by name, and the claims that they come from.
    pub attributes: BTreeMap<String, ClaimPath>,
}

impl Mapping {
    /// Returns an error if settings contradict each other. The error names the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.user.paths().is_empty() {
            return Err("user_claim: the list is empty".into());
        }
        if self.groups.is_none() && !self.admin_groups.is_empty() {
            return Err("admin_groups: without groups_claim, users have no groups".into());
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(format!("attributes: a user has at most {MAX_ATTRIBUTES}").into());
        }
        let is_bad = |name: &String| name.is_empty() || name.len() > 256 || name.chars().any(char::is_control);
        if self.attributes.keys().any(is_bad) {
            return Err("attributes: a name must have 1 to 256 bytes and no control characters".into());
        }
        Ok(())
    }

    /// Returns the user that the claims describe.
    ///
    /// Groups and attributes whose values are unsuitable are left out, and the log says so. But a control character anywhere
    /// is refused: it may be an attempt to add a line to the upstream's request.
    pub fn user(&self, claims: &Claims, prefix: &str) -> Result<User, TokenError> {
        let groups = self.groups(claims)?;
        let admin = self.is_admin(claims) || groups.iter().any(|group| self.admin_groups.contains(group));
        let mut user = User::new(self.name(claims, prefix)?)
            .with_usable_groups(groups)
            .admin(admin);
        for (name, path) in &self.attributes {
            match claims.find(path).map(text) {
                Some(Some(empty)) if empty.is_empty() => {}
                Some(Some(value)) if has_control(&value) => return Err(control_character(path)),
                Some(Some(value)) => user = user.with_usable_attribute(name, value),
                Some(None) => log::debug(format!(
                    "the attribute {name} is left out: the claim {path} is not text, a number or a boolean, and no list of them"
                )),
                None => {}
            }
        }
        Ok(user)
    }

    /// The first of the claims that is a name.
    fn name(&self, claims: &Claims, prefix: &str) -> Result<String, TokenError> {
        let paths = self.user.paths();
        let found = || paths.iter().filter_map(|path| Some((path, claims.find(path)?)));
        let usable = |name: &String| prefix.len() + name.len() <= MAX_NAME && is_name(name);
        if let Some(name) = found().find_map(|(_, value)| name(value).filter(usable)) {
            return Ok(format!("{prefix}{name}"));
        }
        Err(match found().next() {
            Some((path, _)) => TokenError::Claim(
                path.to_string(),
                "is not a name: text of 1 to 256 bytes without control characters (settings: user_claim)",
            ),
            None => TokenError::Claim(
                paths.iter().map(ClaimPath::to_string).collect::<Vec<_>>().join(", "),
                "is missing (settings: user_claim)",
            ),
        })
    }

    /// The groups: a text, the items of a list, or the names in an object, whose values say more about each.
    fn groups(&self, claims: &Claims) -> Result<Vec<String>, TokenError> {
        let Some((path, value)) = self.groups.as_ref().and_then(|path| Some((path, claims.find(path)?))) else {
            self.tell_overage(claims);
            return Ok(Vec::new());
        };
        let groups = match value {
            Value::Array(items) => items.iter().map(name).collect::<Vec<_>>(),
            Value::Object(object) => object.keys().map(|key| Some(key.clone())).collect(),
            one => vec![name(one)],
        };
        let given = groups.len();
        let groups = Vec::from_iter(groups.into_iter().flatten());
        if groups.iter().any(|group| has_control(group)) {
            return Err(control_character(path));
        }
        if groups.len() < given {
            let unusable = given - groups.len();
            log::debug(format!(
                "{unusable} of {given} groups in the claim {path} are left out: they are not text"
            ));
        }
        Ok(groups)
    }

    /// Says, once an hour for each user, that the provider has left the groups out of the token because there are too many
    /// (OpenID Connect Core 1.0, section 5.6.2). Entra does so for more than 200, and says `hasgroups` in tokens of its
    /// implicit flow.
    fn tell_overage(&self, claims: &Claims) {
        let Some(path) = &self.groups else { return };
        let named = claims
            .registered("_claim_names")
            .and_then(|names| names.get(path.to_string()));
        let says = match (named, claims.registered("hasgroups")) {
            (Some(_), _) => "where it can be asked for (_claim_names)",
            (None, Some(Value::Bool(true))) => "that there are groups (hasgroups)",
            _ => return,
        };
        let who = claims.registered("sub").and_then(Value::as_str).unwrap_or_default();
        if cache::add(&cache::key(&[b"overage", who.as_bytes()]), b"told", HOUR) {
            log::info(format!(
                "the token of {} doesn't have the claim {path}, but says {says}: the user comes in without groups. Let the \
                 provider send fewer groups, or roles",
                quoted(who)
            ));
        }
    }

    /// Only `true` makes an administrator, not the string `"true"`.
    fn is_admin(&self, claims: &Claims) -> bool {
        self.admin.as_ref().and_then(|path| claims.find(path)) == Some(&Value::Bool(true))
    }
}

/// A value as a name: text, or a whole number, which some providers use for ids, or the first of a list.
fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        Value::Array(items) => items.first().filter(|first| !first.is_array()).and_then(name),
        _ => None,
    }
}

/// A value as text: also any number and a boolean.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => items.first().filter(|first| !first.is_array()).and_then(text),
        other => name(other),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn control_character(path: &ClaimPath) -> TokenError {
    TokenError::Claim(path.to_string(), "has a control character")
}

/// Whether a text can be a name in a header for the upstream: it isn't empty, and has no line breaks and no other control
/// characters.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !has_control(text)
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

    /// Row B9 of the field reports: groups and attributes don't decide about admission.
    #[test]
    fn unsuitable_groups_and_attributes_are_left_out() {
        let a = || User::new("corp:a");
        let cases = [
            (json!({"email": "", "sub": "a"}), a()),
            (json!({"email": {}, "sub": "a"}), a()),
            (
                json!({"email": "x".repeat(252), "sub": "a"}),
                a().with_attribute("mail", "x".repeat(252)),
            ),
            (
                json!({"sub": "a", "realm": {"groups": {"x": 1, "y": {}}}}),
                a().with_groups(["x", "y"]),
            ),
            (
                json!({"sub": "a", "realm": {"groups": ["x", 1, null, {}, ""]}}),
                a().with_groups(["x", "1"]),
            ),
            (json!({"sub": "a", "realm": {"groups": ""}}), a()),
            (json!({"sub": "a", "realm": {"groups": true}}), a()),
            (json!({"sub": "a", "realm": {"groups": []}}), a()),
            (json!({"sub": "a", "realm": []}), a()),
            (json!({"sub": "a", "level": "x".repeat(4097)}), a()),
            (json!({"sub": "a", "level": {}}), a()),
            (json!({"sub": "a", "level": []}), a()),
            (json!({"sub": "a", "level": [1, 2]}), a().with_attribute("level", "1")),
            (json!({"sub": "a", "level": 1.5}), a().with_attribute("level", "1.5")),
        ];
        for (claims, expected) in cases {
            assert_eq!(user(&claims), Ok(expected), "{claims}");
        }
    }

    #[test]
    fn a_name_is_text_or_a_whole_number_or_the_first_of_a_list() {
        let cases = [
            (json!({"sub": 7}), "corp:7"),
            (json!({"sub": -7}), "corp:-7"),
            (json!({"sub": ["a", "b"]}), "corp:a"),
            (json!({"email": ["a@b"], "sub": "a"}), "corp:a@b"),
            (json!({"email": [], "sub": "a"}), "corp:a"),
            (json!({"email": [["a"]], "sub": "a"}), "corp:a"),
            (json!({"email": [{}], "sub": "a"}), "corp:a"),
            (json!({"sub": "x".repeat(251)}), &format!("corp:{}", "x".repeat(251))),
        ];
        for (claims, expected) in cases {
            assert_eq!(user(&claims).map(|user| user.name).as_deref(), Ok(expected), "{claims}");
        }
    }

    /// Security case 44: the value of a claim may end up in a header.
    #[test]
    fn a_token_without_a_usable_name_is_refused() {
        let cases = [
            (json!({}), "the claim email, sub is missing"),
            (json!({"sub": ""}), "the claim sub is not a name"),
            (json!({"sub": 7.5}), "the claim sub is not a name"),
            (json!({"sub": true}), "the claim sub is not a name"),
            (json!({"sub": {"a": 1}}), "the claim sub is not a name"),
            (json!({"sub": "a\r\nX-User: root"}), "the claim sub is not a name"),
            (json!({"sub": "a\u{0}"}), "the claim sub is not a name"),
            (json!({"sub": "a\u{85}"}), "the claim sub is not a name"),
            (json!({"sub": "x".repeat(252)}), "the claim sub is not a name"),
            (json!({"email": "", "sub": ""}), "the claim email is not a name"),
            (
                json!({"sub": "a", "email": "a\nb"}),
                "the claim email has a control character",
            ),
            (
                json!({"sub": "a", "level": "1\n2"}),
                "the claim level has a control character",
            ),
            (
                json!({"sub": "a", "realm": {"groups": ["x\n", "y"]}}),
                "the claim realm.groups has a control character",
            ),
            (
                json!({"sub": "a", "realm": {"groups": "x\u{7f}"}}),
                "the claim realm.groups has a control character",
            ),
            (
                json!({"sub": "a", "realm": {"groups": {"x\r": 1}}}),
                "the claim realm.groups has a control character",
            ),
        ];
        for (claims, expected) in cases {
            let why = user(&claims).unwrap_err();
            assert!(why.starts_with(expected), "{claims}: {why}");
        }
    }
}
