//! Paths to claims. A path is a name, or several names joined by dots for a claim within another claim.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

/// A path to a claim, such as `email` or `realm_access.roles`.
///
/// A claim whose own name contains dots is found first (`https://example.org/groups`). In a path, `\.` is a dot that
/// belongs to a name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ClaimPath {
    written: String,
    names: Vec<String>,
}

impl ClaimPath {
    /// The claim of this name, which has no dots.
    pub fn of_name(name: &str) -> Self {
        Self {
            written: name.to_owned(),
            names: vec![name.to_owned()],
        }
    }

    /// Returns the claim at this path. `null` counts as missing.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let found = claims.get(&self.written).or_else(|| self.descend(claims));
        found.filter(|value| !value.is_null())
    }

    fn descend<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (last, outer) = self.names.split_last()?;
        outer
            .iter()
            .try_fold(claims, |object, name| object.get(name)?.as_object())?
            .get(last)
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl TryFrom<String> for ClaimPath {
    type Error = &'static str;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        let names = names(&written);
        if names.iter().any(String::is_empty) {
            return Err("a claim must have a name, and so must each part between dots");
        }
        Ok(Self { written, names })
    }
}

fn names(written: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut characters = written.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, names.last_mut()) {
            ('.', _) => names.push(String::new()),
            ('\\', Some(name)) if characters.next_if_eq(&'.').is_some() => name.push('.'),
            (_, Some(name)) => name.push(c),
            (_, None) => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_found_by_name_path_and_dotted_name() {
        let claims = json!({
            "sub": "a",
            "none": null,
            "https://example.org/groups": ["g"],
            "realm_access": { "roles": ["r"], "none": null },
            "resource_access": { "my.client": { "roles": ["c"] } },
            "a.b": 1,
            "a": { "b": 2 },
        });
        let cases = [
            ("sub", Some(json!("a"))),
            ("https://example.org/groups", Some(json!(["g"]))),
            ("realm_access.roles", Some(json!(["r"]))),
            (r"resource_access.my\.client.roles", Some(json!(["c"]))),
            ("a.b", Some(json!(1))),
            ("none", None),
            ("realm_access.none", None),
            ("sub.x", None),
            ("realm_access.roles.0", None),
            ("resource_access.my.client.roles", None),
        ];
        for (path, expected) in cases {
            let path = ClaimPath::try_from(path.to_owned()).unwrap();
            assert_eq!(path.find(claims.as_object().unwrap()), expected.as_ref(), "{path}");
        }
    }

    #[test]
    fn a_path_must_not_have_empty_names() {
        for path in ["", ".", "a.", ".a", "a..b"] {
            assert!(ClaimPath::try_from(path.to_owned()).is_err(), "{path}");
        }
    }
}
