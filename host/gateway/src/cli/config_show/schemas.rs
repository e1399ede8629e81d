//! What JSON Schemas say of a value, found by the names that lead to it. All alternatives count, so that what one of them calls a
//! secret is one.

use serde_json::Map;
use serde_json::Value;

/// The schemas that may apply to one value.
#[derive(Clone)]
pub(super) struct Schemas<'s> {
    /// The whole, in which references are looked up.
    root: &'s Value,
    each: Vec<&'s Value>,
}

/// The maximum number of schemas for one value. A plugin's schema may refer to itself.
const MAX_SCHEMAS: usize = 256;

impl<'s> Schemas<'s> {
    /// No schema at all.
    pub(super) fn none() -> Self {
        static NOTHING: Value = Value::Null;
        Self::of(&NOTHING)
    }

    /// The schemas of a whole document.
    pub(super) fn of(root: &'s Value) -> Self {
        Self::expanded(root, vec![root])
    }

    /// The schemas of the value of a key.
    pub(super) fn key(&self, name: &str) -> Self {
        let of = |schema: &&'s Value| {
            let named = schema.get("properties").and_then(|keys| keys.get(name));
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            let patterns = patterns.into_iter().flat_map(Map::values);
            let others = schema.get("additionalProperties").filter(|_| named.is_none());
            Vec::from_iter(named.into_iter().chain(patterns).chain(others))
        };
        Self::expanded(self.root, self.each.iter().flat_map(of).collect())
    }

    /// The schemas of the items of a list.
    pub(super) fn items(&self) -> Self {
        let of = |schema: &&'s Value| {
            let items = ["items", "prefixItems", "additionalItems"].into_iter();
            let items = items.filter_map(|keyword| schema.get(keyword));
            Vec::from_iter(items.flat_map(|items| match items {
                Value::Array(items) => Vec::from_iter(items),
                items => vec![items],
            }))
        };
        Self::expanded(self.root, self.each.iter().flat_map(of).collect())
    }

    /// Whether nothing is known of the value.
    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Whether a schema says that the value isn't to be shown.
    pub(super) fn is_secret(&self) -> bool {
        let mut marks = self.each.iter().map(|schema| schema.get("writeOnly"));
        marks.any(|mark| mark == Some(&Value::Bool(true)))
    }

    /// The keys with a default.
    pub(super) fn defaults(&self) -> impl Iterator<Item = (&'s str, &'s Value)> {
        let keys = self
            .each
            .iter()
            .filter_map(|schema| schema.get("properties")?.as_object());
        keys.flatten()
            .filter_map(|(name, schema)| Some((name.as_str(), schema.get("default")?)))
    }

    /// Adds the alternatives of schemas, and what they refer to.
    fn expanded(root: &'s Value, mut each: Vec<&'s Value>) -> Self {
        each.retain(|schema| schema.is_object());
        let mut done = 0;
        while let Some(schema) = each.get(done).copied() {
            let lists = ["anyOf", "oneOf", "allOf"].into_iter();
            let lists = lists.filter_map(|keyword| schema.get(keyword)?.as_array());
            let conditions = ["then", "else"].into_iter().filter_map(|keyword| schema.get(keyword));
            let reference = schema.get("$ref").and_then(Value::as_str);
            let reference = reference.and_then(|reference| root.pointer(reference.strip_prefix('#')?));
            let further = lists.flatten().chain(conditions).chain(reference);
            for schema in further.filter(|schema| schema.is_object()) {
                let is_known = each.iter().any(|known| std::ptr::eq(*known, schema));
                if !is_known && each.len() < MAX_SCHEMAS {
                    each.push(schema);
                }
            }
            done += 1;
        }
        Self { root, each }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_found_behind_references_and_alternatives() {
        let schema = json!({
            "properties": {
                "plain": { "type": "string" },
                "secret": { "writeOnly": true },
                "referred": { "$ref": "#/$defs/secret" },
                "one": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/secret" }] },
                "list": { "type": "array", "items": { "$ref": "#/$defs/secret" } },
                "tuple": { "items": [{}, { "writeOnly": true }] },
                "nested": { "properties": { "password": { "$ref": "#/$defs/secret" } }, "additionalProperties": false },
                "named": { "additionalProperties": { "writeOnly": true } },
                "again": { "$ref": "#" },
            },
            "$defs": { "secret": { "type": "string", "writeOnly": true } },
        });
        let whole = Schemas::of(&schema);
        for (key, expected) in [
            ("plain", false),
            ("secret", true),
            ("referred", true),
            ("one", true),
            ("list", false),
            ("nested", false),
        ] {
            assert_eq!(whole.key(key).is_secret(), expected, "{key}");
        }
        assert!(whole.key("list").items().is_secret() && whole.key("tuple").items().is_secret());
        assert!(whole.key("nested").key("password").is_secret() && whole.key("named").key("any").is_secret());
        assert!(whole.key("again").key("again").key("secret").is_secret());
        assert!(whole.key("unknown").is_empty() && whole.key("nested").key("unknown").is_empty());
    }
}
