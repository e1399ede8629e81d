//! The JSON Schema of the configuration file, for editors. Keys, types, bounds and defaults are what the readers say of them, and the
//! descriptions are those of `docs/configuration.md`.

use portcullis_loader::config::document::Document;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::sources::Sources;
use serde_json::Value;

use crate::config::Draft;
use crate::config::Environment;
use crate::config::reference;

/// The schema, of draft 7, which editors know.
pub(crate) fn schema() -> Value {
    let mut schema = undescribed().unwrap_or_default();
    for row in reference::rows() {
        row.describe(&mut schema);
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
        schema.insert("title".to_owned(), "The configuration of Portcullis".into());
    }
    schema
}

/// What the readers say of a blank document. There is always something: a test holds that.
fn undescribed() -> Option<Value> {
    let (environment, sources) = (Environment::default(), Sources::default());
    let document = Document::blank(&environment, &sources);
    Draft::default().read_root(Table::blank(&document)?, &environment);
    document.into_schema()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of all keys, such as `routes.identity.user`, with their schemas.
    fn keys(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        for (name, inner) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let path = format!("{path}{name}");
            found.push((path.clone(), inner.clone()));
            keys(inner, &format!("{path}."), found);
        }
        for (below, name) in [("items", ""), ("additionalProperties", "*.")] {
            if let Some(inner) = schema.get(below) {
                keys(inner, &format!("{path}{name}"), found);
            }
        }
        for inner in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            keys(inner, path, found);
        }
    }

    fn all_keys() -> Vec<(String, Value)> {
        let mut found = Vec::new();
        keys(&schema(), "", &mut found);
        found
    }

    #[test]
    fn every_key_is_looked_at_and_described() {
        let keys = all_keys();
        assert!(keys.len() > 150, "{}", keys.len());
        for (path, schema) in keys {
            let text = schema.to_string();
            assert!(!text.contains("no reader looks at this value"), "{path}: {text}");
            assert!(
                schema.get("description").is_some(),
                "{path} has no row in docs/configuration.md: {text}"
            );
        }
    }

    #[test]
    fn the_readers_say_what_they_expect() {
        let keys = all_keys();
        let of = |path: &str| {
            let found = keys.iter().find(|(key, _)| key == path);
            let mut schema = found.unwrap_or_else(|| panic!("there is no {path}")).1.clone();
            schema.as_object_mut().unwrap().remove("description");
            schema.to_string()
        };
        for (path, expected) in [
            (
                "server.max_streams",
                r#"{"default":128,"maximum":1000,"minimum":1,"type":"integer"}"#,
            ),
            ("routes.public", r#"{"default":false,"type":"boolean"}"#),
            ("routes.paths", r#"{"default":"strict","enum":["strict","as-is"]}"#),
            ("state", r#"{"type":"string"}"#),
            ("authenticators.*.settings", r#"{"type":"object"}"#),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
        for (path, part) in [
            ("server.header_timeout", r#""default":"10s""#),
            ("server.listen", r#""anyOf":[{"items":{"description""#),
            ("server.proxy_protocol", r#"{"type":"boolean"}"#),
            ("authenticators.*.limits.memory", r#""default":"64MiB""#),
            ("authenticators.*.limits.deadline", r#""pattern":""#),
            ("session.keys", r#""writeOnly":true"#),
            (
                "routes.identity.attributes",
                r#""additionalProperties":{"anyOf":[{"additionalProperties""#,
            ),
            ("routes", r#""required":["path"]"#),
            ("upstreams", r#""required":["servers"]"#),
            ("authenticators.*.grants.login", r#""type":"array""#),
        ] {
            assert!(of(path).contains(part), "{path}: {}", of(path));
        }
        assert!(!keys.iter().any(|(path, _)| path == "authorizers.*.grants.login"));
    }

    /// Every row leads to a key: what isn't a key any more has no row.
    #[test]
    fn every_row_of_the_page_is_about_a_key() {
        let rows = reference::rows();
        assert!(rows.len() > 150, "{}", rows.len());
        for row in rows {
            assert!(row.describe(&mut schema()), "{row:?}");
        }
    }
}
