//! JupyterHub's access scopes. A scope is a name, such as `access:services`, and may have a filter that narrows it, as
//! in `access:services!service=dask-gateway`.

use std::borrow::Cow;

use portcullis_sdk::schemars;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;

/// Scopes of which a token needs at least one. The operator writes a list, or a string that contains a JSON list, which
/// is the form of `JUPYTERHUB_OAUTH_ACCESS_SCOPES`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessScopes(Vec<String>);

impl AccessScopes {
    /// The scope that JupyterHub requires of a token for this service.
    pub fn of_service(name: &str) -> Self {
        Self(vec![format!("access:services!service={name}")])
    }

    /// Returns whether a token with the scopes `held` has one of these scopes, or a wider one.
    pub fn satisfied_by(&self, held: &[String]) -> bool {
        self.0.iter().any(|needed| held.iter().any(|held| covers(held, needed)))
    }

    /// The first five of the scopes `held` that have the name of one of these, and perhaps another filter.
    pub(crate) fn akin<'h>(&self, held: &'h [String]) -> Vec<&'h str> {
        let has_name_of_one = |held: &&str| self.0.iter().any(|needed| split(needed).0 == split(held).0);
        held.iter()
            .map(String::as_str)
            .filter(has_name_of_one)
            .take(5)
            .collect()
    }
}

impl std::fmt::Display for AccessScopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

impl<'de> Deserialize<'de> for AccessScopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            List(Vec<String>),
            Json(String),
        }
        let wrong = || D::Error::custom("expected a list of scopes, or a string that contains one as JSON");
        let scopes = match Written::deserialize(deserializer).map_err(|_| wrong())? {
            Written::List(scopes) => scopes,
            Written::Json(text) => serde_json::from_str(&text).map_err(|_| wrong())?,
        };
        if scopes.is_empty() || scopes.iter().any(String::is_empty) {
            return Err(D::Error::custom("expected at least one scope, and no empty ones"));
        }
        Ok(Self(scopes))
    }
}

impl JsonSchema for AccessScopes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("AccessScopes")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
                { "type": "string", "minLength": 1 },
            ],
        })
    }
}

/// Returns whether the scope `held` allows everything that the scope `needed` does. It does if the two are equal, if it
/// has no filter, or if its filter is for the user whose server the other filter names (`!user=alice` and
/// `!server=alice/lab`). JupyterHub's `check_scopes` decides the same way; like it, this function doesn't look up the
/// members of a group.
fn covers(held: &str, needed: &str) -> bool {
    let (held_name, held_filter) = split(held);
    let (needed_name, needed_filter) = split(needed);
    held_name == needed_name
        && match (held_filter, needed_filter) {
            (None, _) => true,
            (Some(held), Some(needed)) => held == needed || owns(held, needed),
            (Some(_), None) => false,
        }
}

fn split(scope: &str) -> (&str, Option<&str>) {
    scope
        .split_once('!')
        .map_or((scope, None), |(name, filter)| (name, Some(filter)))
}

fn owns(held: &str, needed: &str) -> bool {
    let server = needed.strip_prefix("server=").and_then(|server| server.split_once('/'));
    match (held.strip_prefix("user="), server) {
        (Some(user), Some((owner, _))) => user == owner,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_itself_and_narrower_scopes() {
        let cases = [
            ("access:services", "access:services", true),
            ("access:services", "access:services!service=x", true),
            ("access:services!service=x", "access:services!service=x", true),
            ("access:services!service=y", "access:services!service=x", false),
            ("access:services!service=xy", "access:services!service=x", false),
            ("access:services!service=x", "access:services!service=xy", false),
            ("access:services!group=g", "access:services!service=x", false),
            ("access:services!user=x", "access:services!service=x", false),
            ("access:services!service=x", "access:services", false),
            ("access:services!", "access:services!service=x", false),
            ("access:service", "access:services!service=x", false),
            ("access:servers", "access:services!service=x", false),
            ("inherit", "access:services!service=x", false),
            ("self", "access:services!service=x", false),
            ("", "access:services!service=x", false),
            ("access:servers!user=alice", "access:servers!server=alice/lab", true),
            ("access:servers!user=alice", "access:servers!server=alice/", true),
            ("access:servers!user=alice", "access:servers!server=alicia/lab", false),
            ("access:servers!server=alice/lab", "access:servers!user=alice", false),
        ];
        for (held, needed, expected) in cases {
            assert_eq!(covers(held, needed), expected, "{held} for {needed}");
        }
    }

    #[test]
    fn scopes_are_read_from_a_list_or_from_json_in_a_string() {
        let list = r#"["access:services", "access:services!service=x"]"#;
        let quoted = serde_json::to_string(list).unwrap();
        let [from_list, from_string] = [list, &quoted].map(|json| serde_json::from_str::<AccessScopes>(json).unwrap());
        assert_eq!(from_list, from_string);
        for wrong in [
            "[]",
            r#""""#,
            r#""[]""#,
            r#"[""]"#,
            r#""access:services""#,
            "[1]",
            "1",
            r#""{}""#,
        ] {
            assert!(serde_json::from_str::<AccessScopes>(wrong).is_err(), "{wrong}");
        }
    }
}
