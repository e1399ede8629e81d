//! The owner of a token, as the hub describes it. It becomes the user of the request.

use portcullis_sdk::User;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde_json::Value;

use crate::scope::AccessScopes;

/// The hub's response to `GET /user` (JupyterHub's REST API, the models of user and service).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Identity {
    name: String,
    #[serde(default = "user")]
    kind: String,
    /// Absent in the model of a service. What isn't a text was left out.
    #[serde(default, deserialize_with = "texts")]
    groups: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    admin: bool,
    /// The scopes of the token. The hub has already resolved `inherit` and `self`.
    #[serde(default, deserialize_with = "texts")]
    scopes: Vec<String>,
    /// The hub's session in which a user was given the token. What isn't a text of this size is left out.
    #[serde(default, deserialize_with = "session")]
    session_id: Option<String>,
}

/// The longest id of a session, in bytes. The hub's has 32.
const MAX_SESSION: usize = 100;

fn session<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(id) if (1..=MAX_SESSION).contains(&id.len()) => Some(id),
        _ => None,
    })
}

/// The texts of a list. Anything else gives no group and no scope.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = |item| match item {
        Value::String(text) => Some(text),
        _ => None,
    };
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => items.into_iter().filter_map(text).collect(),
        _ => Vec::new(),
    })
}

/// The value, or the default if it is null.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Identity {
    /// Returns whether the token has one of these scopes.
    pub(crate) fn has_one_of(&self, needed: &AccessScopes) -> bool {
        needed.satisfied_by(&self.scopes)
    }

    /// The id of the hub's session, once.
    pub(crate) fn take_session(&mut self) -> Option<String> {
        self.session_id.take()
    }

    /// Converts this into a user.
    ///
    /// # Errors
    ///
    /// Returns an error if the gateway would deny the user, because of the name or the number of groups.
    pub(crate) fn into_user(self) -> Result<User, String> {
        let groups = self.groups.len();
        if groups > User::MAX_GROUPS {
            let most = User::MAX_GROUPS;
            return Err(format!("the user has {groups} groups, and at most {most} are accepted"));
        }
        Ok(User::parse(self.full_name())?
            .with_usable_groups(self.groups)
            .admin(self.admin))
    }

    /// The name. Names of services have their kind in front: `service:nightly`. So do names of users with a colon,
    /// `user:service:nightly`, so that no user can have the name of a service. dask-gateway uses the same names.
    pub(crate) fn full_name(&self) -> String {
        if self.name.is_empty() || (self.kind == "user" && !self.name.contains(':')) {
            self.name.clone()
        } else {
            format!("{}:{}", self.kind, self.name)
        }
    }
}

fn user() -> String {
    "user".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(kind: &str, name: &str) -> Result<User, String> {
        let json = serde_json::json!({ "kind": kind, "name": name });
        serde_json::from_value::<Identity>(json).unwrap().into_user()
    }

    #[test]
    fn no_user_can_have_the_name_of_a_service() {
        let cases = [
            ("user", "alice", "alice"),
            ("service", "nightly", "service:nightly"),
            ("user", "service:nightly", "user:service:nightly"),
            ("user", "user:bob", "user:user:bob"),
            ("", "bob", ":bob"),
        ];
        for (kind, name, expected) in cases {
            assert_eq!(named(kind, name), Ok(User::new(expected)), "{kind} {name}");
        }
        for (kind, name) in [("user", ""), ("service", ""), ("user", "a\nb"), ("service", "a ")] {
            assert!(named(kind, name).is_err(), "{kind} {name:?}");
        }
    }

    /// Row B9 of the field reports: groups don't decide about admission.
    #[test]
    fn unusable_groups_are_left_out() {
        for (groups, expected) in [
            (json!(["a", "", null, 7, ["b"], "d".repeat(1025)]), &["a"][..]),
            (json!(null), &[]),
            (json!("a"), &[]),
            (json!({ "a": 1 }), &[]),
        ] {
            let model = json!({ "name": "alice", "groups": groups, "admin": null, "scopes": null });
            let user = serde_json::from_value::<Identity>(model).unwrap().into_user();
            assert_eq!(
                user,
                Ok(User::new("alice").with_groups(expected.iter().copied())),
                "{groups}"
            );
        }
    }

    #[test]
    fn a_user_may_have_as_many_groups_as_the_gateway_accepts() {
        for (count, accepted) in [(User::MAX_GROUPS, true), (User::MAX_GROUPS + 1, false)] {
            let model = json!({ "name": "alice", "groups": vec!["g"; count] });
            let user = serde_json::from_value::<Identity>(model).unwrap().into_user();
            assert_eq!(user.is_ok(), accepted, "{count}");
        }
    }

    #[test]
    fn groups_and_the_admin_flag_are_copied() {
        let json = r#"{"name": "alice", "kind": "user", "groups": ["ml", "staff"], "admin": true, "roles": [{}]}"#;
        let user = serde_json::from_str::<Identity>(json).unwrap().into_user();
        assert_eq!(user, Ok(User::new("alice").with_groups(["ml", "staff"]).admin(true)));
    }
}
