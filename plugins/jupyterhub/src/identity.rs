//! The owner of a token, as the hub describes it. It becomes the user of the request.

use portcullis_sdk::User;
use portcullis_sdk::log;
use serde::Deserialize;
use serde::Serialize;

use crate::lenient::Leaf;
use crate::lenient::Texts;
use crate::scope::AccessScopes;

/// The owner of a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Identity {
    /// `None` if the hub gave no text.
    name: Option<String>,
    /// `None` if the hub gave no text.
    kind: Option<String>,
    /// At most as many as the gateway accepts.
    groups: Vec<String>,
    /// How many groups the hub gave.
    group_count: usize,
    admin: bool,
    /// The scopes of the token. The hub has already resolved `inherit` and `self`.
    scopes: Vec<String>,
    /// The hub's session in which a user was given the token. What isn't a text of this size is left out.
    #[serde(default)]
    session_id: Option<String>,
}

/// The longest id of a session, in bytes. The hub's has 32.
const MAX_SESSION: usize = 100;

/// The hub's response to `GET /user` (JupyterHub's REST API, the models of user and service). Only a name must be there: a
/// response without one is that of another server.
#[derive(Deserialize)]
struct Model {
    name: Leaf,
    #[serde(default = "user")]
    kind: Leaf,
    /// Absent in the model of a service.
    #[serde(default)]
    groups: Texts<{ User::MAX_GROUPS }>,
    #[serde(default)]
    admin: Leaf,
    #[serde(default)]
    scopes: Texts<{ usize::MAX }>,
    /// Absent if the token wasn't given in a session.
    #[serde(default)]
    session_id: Leaf,
}

impl Identity {
    /// Reads the hub's response. Facts of an unexpected type are left out, because they concern one user. `None` if it isn't a
    /// user or a service.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let model: Model = serde_json::from_slice(json).ok()?;
        if model.groups.others > 0 {
            log::debug(format!(
                "{} groups are left out: they are not texts",
                model.groups.others
            ));
        }
        Some(Self {
            name: model.name.text(),
            kind: model.kind.text(),
            groups: model.groups.kept,
            group_count: model.groups.count,
            admin: model.admin == Leaf::Bool(true),
            scopes: model.scopes.kept,
            session_id: model
                .session_id
                .text()
                .filter(|id| (1..=MAX_SESSION).contains(&id.len())),
        })
    }

    /// The scopes of the token.
    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

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
    /// Returns an error if the gateway would deny the user, because of the name or the groups. What is much too large never
    /// reaches the gateway, which would take it for a failure of the plugin.
    pub(crate) fn into_user(self) -> Result<User, String> {
        let groups = self.group_count;
        if groups > User::MAX_GROUPS {
            let most = User::MAX_GROUPS;
            return Err(format!("the user has {groups} groups, and at most {most} are accepted"));
        }
        if self.name.is_none() || self.kind.is_none() {
            return Err("the user's name or kind is not a text".to_owned());
        }
        let user = User::parse(self.full_name())?.with_usable_groups(self.groups);
        let (size, most) = (user.size(), User::MAX_SIZE);
        if size > most {
            return Err(format!(
                "the user has {size} bytes of name, groups and attributes, and at most {most} are accepted"
            ));
        }
        Ok(user.admin(self.admin))
    }

    /// The name. Names of services have their kind in front: `service:nightly`. So do names of users with a colon,
    /// `user:service:nightly`, so that no user can have the name of a service. dask-gateway uses the same names.
    pub(crate) fn full_name(&self) -> String {
        let [name, kind] = [&self.name, &self.kind].map(|text| text.as_deref().unwrap_or_default());
        if name.is_empty() || (kind == "user" && !name.contains(':')) {
            name.to_owned()
        } else {
            format!("{kind}:{name}")
        }
    }
}

fn user() -> Leaf {
    Leaf::Text("user".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(kind: &str, name: &str) -> Result<User, String> {
        of(&json!({ "kind": kind, "name": name }))
    }

    fn of(model: &serde_json::Value) -> Result<User, String> {
        Identity::from_json(model.to_string().as_bytes()).unwrap().into_user()
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
            assert_eq!(
                of(&model),
                Ok(User::new("alice").with_groups(expected.iter().copied())),
                "{groups}"
            );
        }
    }

    #[test]
    fn only_true_makes_an_administrator() {
        for (admin, expected) in [
            (json!(true), true),
            (json!("true"), false),
            (json!(1), false),
            (json!(null), false),
            (json!([true]), false),
        ] {
            let model = json!({ "name": "alice", "admin": admin });
            assert_eq!(of(&model), Ok(User::new("alice").admin(expected)), "{admin}");
        }
    }

    /// Row B1 of the field reports: what is wrong with one user is no failure of the hub.
    #[test]
    fn a_user_without_a_usable_name_or_kind_is_refused() {
        let refused = Err("the user's name or kind is not a text".to_owned());
        for odd in [json!(null), json!(7), json!(true), json!(["a"]), json!({ "a": 1 })] {
            for model in [
                json!({ "kind": "user", "name": odd }),
                json!({ "kind": odd, "name": "alice" }),
            ] {
                assert_eq!(of(&model), refused, "{model}");
            }
        }
        // Python's JSON writes half a surrogate pair without a complaint.
        for odd in [
            r#"{"name": "\ud83d"}"#,
            r#"{"name": "\ude00 a"}"#,
            r#"{"kind": "\ud83d", "name": "a"}"#,
        ] {
            assert_eq!(
                Identity::from_json(odd.as_bytes()).unwrap().into_user(),
                refused,
                "{odd}"
            );
        }
        for other in ["{}", "[]", "null", r#"{"kind": "user"}"#, "<html>"] {
            assert_eq!(Identity::from_json(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_user_may_have_as_many_groups_as_the_gateway_accepts() {
        for (count, accepted) in [(User::MAX_GROUPS, true), (User::MAX_GROUPS + 1, false)] {
            let model = json!({ "name": "alice", "groups": vec!["g"; count] });
            assert_eq!(of(&model).is_ok(), accepted, "{count}");
        }
    }

    #[test]
    fn a_user_may_be_as_large_as_the_gateway_accepts() {
        for (last, accepted) in [(1019, true), (1020, false)] {
            let groups = Vec::from_iter((0..256).map(|n| "g".repeat(if n == 0 { last } else { 1024 })));
            let model = json!({ "name": "alice", "groups": groups });
            assert_eq!(of(&model).is_ok(), accepted, "{last}");
        }
    }

    #[test]
    fn groups_and_the_admin_flag_are_copied() {
        let json = r#"{"name": "alice", "kind": "user", "groups": ["ml", "staff"], "admin": true, "roles": [{}]}"#;
        let user = Identity::from_json(json.as_bytes()).unwrap().into_user();
        assert_eq!(user, Ok(User::new("alice").with_groups(["ml", "staff"]).admin(true)));
    }
}
