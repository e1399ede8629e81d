//! What the hub says about the owner of a token, and the user that we make of it.

use portcullis_sdk::User;
use serde::Deserialize;
use serde::Serialize;

use crate::scope::AccessScopes;

/// The hub's answer to `GET /user` (JupyterHub's REST API, the models of user and service).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Identity {
    name: String,
    #[serde(default = "user")]
    kind: String,
    /// The model of a service has none.
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    admin: bool,
    /// What the token may do, with `inherit` and `self` resolved by the hub.
    #[serde(default)]
    scopes: Vec<String>,
}

impl Identity {
    /// Whether the token has one of these scopes.
    pub(crate) fn has_one_of(&self, needed: &AccessScopes) -> bool {
        needed.satisfied_by(&self.scopes)
    }

    /// The user of the hub's name.
    ///
    /// # Errors
    ///
    /// When the name is none that the gateway takes.
    pub(crate) fn into_user(self) -> Result<User, &'static str> {
        Ok(User::parse(self.full_name())?
            .with_groups(self.groups)
            .admin(self.admin))
    }

    /// The name, with the kind before it if it is no user's: `service:nightly`. A user whose name has a colon is written
    /// `user:service:nightly`, so that nobody can be named like a service. dask-gateway names them alike.
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
    use super::*;

    fn named(kind: &str, name: &str) -> Result<User, &'static str> {
        let json = serde_json::json!({ "kind": kind, "name": name });
        serde_json::from_value::<Identity>(json).unwrap().into_user()
    }

    #[test]
    fn nobody_can_be_named_like_a_service() {
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

    #[test]
    fn groups_and_the_administrator_are_taken_over() {
        let json = r#"{"name": "alice", "kind": "user", "groups": ["ml", "staff"], "admin": true, "roles": [{}]}"#;
        let user = serde_json::from_str::<Identity>(json).unwrap().into_user();
        assert_eq!(user, Ok(User::new("alice").with_groups(["ml", "staff"]).admin(true)));
    }
}
