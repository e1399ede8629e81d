//! The keys of a configuration with their values and sources, in the order of its files. A value that is or may be a secret is hidden.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schemas::Schemas;
use crate::config::Content;
use crate::config::Environment;
use crate::config::Located;
use crate::config::Location;
use crate::config::SECRETS_OF_ENVIRONMENT;
use crate::config::is_reference;

/// The schemas of the settings of plugins, by name.
pub(super) type PluginSchemas = BTreeMap<String, Value>;

/// A key in effect.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// The full key, such as `routes[0].path`.
    pub(super) key: String,
    /// The value, or that it is hidden.
    pub(super) value: Value,
    /// Where it comes from.
    pub(super) source: String,
}

/// The keys in effect.
pub(super) struct Entries<'s> {
    schema: Schemas<'s>,
    plugins: &'s PluginSchemas,
    all: Vec<Entry>,
}

/// What hides a value.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Hiding {
    /// A schema that says that it, or what it is in, is a secret.
    Everything,
    /// Only such a schema would.
    Nothing,
    /// Also that no schema says what it is, as in the settings of a plugin.
    Unknown,
}

const HIDDEN: &str = "(hidden)";
const DEFAULT: &str = "default";

impl<'s> Entries<'s> {
    pub(super) fn new(schema: &'s Value, plugins: &'s PluginSchemas) -> Self {
        Self {
            schema: Schemas::of(schema),
            plugins,
            all: Vec::new(),
        }
    }

    /// Adds all values below the table at a path, and the defaults of keys that are missing in it. `None` for a table that isn't
    /// there.
    pub(super) fn add(&mut self, found: Option<&Located>, path: &[&str]) {
        let schemas = path.iter().fold(self.schema.clone(), |schemas, name| schemas.key(name));
        let names = Vec::from_iter(path.iter().map(ToString::to_string));
        self.walk(found, &schemas, Hiding::Nothing, &at(path), &names);
    }

    /// Adds one value.
    pub(super) fn push(&mut self, path: &[&str], value: Value, source: &str) {
        self.all.push(Entry {
            key: at(path).full_key().to_owned(),
            value,
            source: source.to_owned(),
        });
    }

    /// Adds the secrets that variables have because the configuration names none. `has_session` is whether there are sessions, with
    /// their section or without it.
    pub(super) fn add_secrets_of(&mut self, environment: &Environment, has_session: bool) {
        for (section, key, variables) in SECRETS_OF_ENVIRONMENT {
            let (prefix, own) = (format!("{section}."), format!("{section}.{key}"));
            let is_used =
                (section == "session" && has_session) || self.all.iter().any(|entry| entry.key.starts_with(&prefix));
            let is_configured = self.all.iter().any(|entry| entry.key == own);
            let set = variables.into_iter().find(|name| environment.variable(name).is_some());
            if let (true, false, Some(variable)) = (is_used, is_configured, set) {
                self.push(&[section, key], HIDDEN.into(), variable);
            }
        }
    }

    /// Replaces a value.
    pub(super) fn replace(&mut self, key: &str, value: Value, source: &str) {
        let entry = Entry {
            key: key.to_owned(),
            value,
            source: source.to_owned(),
        };
        match self.all.iter_mut().find(|entry| entry.key == key) {
            Some(known) => *known = entry,
            None => self.all.push(entry),
        }
    }

    pub(super) fn into_vec(self) -> Vec<Entry> {
        self.all
    }

    /// Adds what is found at a place. `names` are those of the tables that lead to it.
    fn walk(
        &mut self,
        found: Option<&Located>,
        schemas: &Schemas<'s>,
        hiding: Hiding,
        at: &Location,
        names: &[String],
    ) {
        let hiding = if schemas.is_secret() {
            Hiding::Everything
        } else {
            hiding
        };
        let empty = Vec::new();
        let table = match found {
            None => &empty,
            Some(found) => match &found.content {
                Content::Table(table) => table,
                Content::List(items) if items.iter().any(|item| !matches!(item.content, Content::Scalar(_))) => {
                    for (index, item) in items.iter().enumerate() {
                        self.walk(Some(item), &schemas.items(), hiding, &at.index(index), names);
                    }
                    return;
                }
                content => {
                    self.all.push(Entry {
                        key: at.full_key().to_owned(),
                        value: shown(content, schemas, hiding),
                        source: found.location.source(),
                    });
                    return;
                }
            },
        };
        for (name, value) in table {
            let names = [names, std::slice::from_ref(name)].concat();
            let (schemas, hiding) = self.below(schemas, hiding, &names);
            self.walk(Some(value), &schemas, hiding, &at.key(name), &names);
        }
        let defaults = schemas
            .defaults()
            .filter(|(name, _)| !table.iter().any(|(known, _)| known == name));
        for (name, default) in defaults {
            // A section that isn't there has keys with defaults.
            match default.as_object() {
                Some(_) => {
                    let names = [names, &[name.to_owned()]].concat();
                    self.walk(None, &schemas.key(name), hiding, &at.key(name), &names);
                }
                None => self.all.push(Entry {
                    key: at.key(name).full_key().to_owned(),
                    value: default.clone(),
                    source: DEFAULT.to_owned(),
                }),
            }
        }
    }

    /// The schemas of a key of a table. Settings have those of their plugin.
    fn below(&self, schemas: &Schemas<'s>, hiding: Hiding, names: &[String]) -> (Schemas<'s>, Hiding) {
        match names {
            [section, plugin, key]
                if ["authenticators", "authorizers"].contains(&section.as_str()) && key == "settings" =>
            {
                let schemas = self.plugins.get(plugin).map(Schemas::of);
                (schemas.unwrap_or_else(Schemas::none), Hiding::Unknown)
            }
            [.., name] => (schemas.key(name), hiding),
            [] => (schemas.clone(), hiding),
        }
    }
}

/// The location of a path in no file.
fn at(path: &[&str]) -> Location {
    path.iter().fold(Location::file(""), |at, name| at.key(name))
}

/// A text whose URL has no user name and no password, such as that of a forward proxy (RFC 3986, section 3.2.1).
fn without_credentials(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://{HIDDEN}@{host}{path}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}

/// A scalar or a list of scalars as it may be shown.
fn shown(content: &Content, schemas: &Schemas<'_>, hiding: Hiding) -> Value {
    match content {
        Content::List(items) => {
            let of = schemas.items();
            let hiding = if of.is_secret() { Hiding::Everything } else { hiding };
            items.iter().map(|item| shown(&item.content, &of, hiding)).collect()
        }
        Content::Scalar(value) => {
            let is_hidden = match hiding {
                Hiding::Everything => true,
                Hiding::Nothing => false,
                Hiding::Unknown => schemas.is_empty(),
            };
            match value.as_str() {
                Some(reference) if is_reference(reference) => value.clone(),
                _ if is_hidden => HIDDEN.into(),
                Some(text) => without_credentials(text).into(),
                None => value.clone(),
            }
        }
        // The caller goes into it.
        Content::Table(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_in_a_url_are_hidden() {
        for (text, expected) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://user:hunter2@proxy:3128/a@b", "http://(hidden)@proxy:3128/a@b"),
            ("http://a@b@proxy", "http://(hidden)@proxy"),
            ("https://idp.example/?mail=a@b", "https://idp.example/?mail=a@b"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_credentials(text), expected);
        }
    }

    #[test]
    fn a_value_that_may_be_a_secret_is_hidden() {
        let (secret, plain) = (json!({ "writeOnly": true }), json!({ "type": "string" }));
        for (value, schema, hiding, expected) in [
            (json!("x"), &plain, Hiding::Nothing, "x"),
            (json!("x"), &plain, Hiding::Unknown, "x"),
            (json!("x"), &plain, Hiding::Everything, HIDDEN),
            (json!(1), &plain, Hiding::Everything, HIDDEN),
            (json!("x"), &Value::Null, Hiding::Nothing, "x"),
            (json!("x"), &Value::Null, Hiding::Unknown, HIDDEN),
            (json!(12), &Value::Null, Hiding::Unknown, HIDDEN),
            (json!("file:x"), &secret, Hiding::Everything, "file:x"),
            (json!("env:X"), &Value::Null, Hiding::Unknown, "env:X"),
        ] {
            let found = shown(&Content::Scalar(value.clone()), &Schemas::of(schema), hiding);
            assert_eq!(found, json!(expected), "{value} {schema}");
        }
    }
}
