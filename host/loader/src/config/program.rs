//! The configuration of a plugin that a program has as values instead of a file, such as a dict of Python. It has the keys of
//! `[authenticators.NAME]` or `[authorizers.NAME]`, with the same rules and messages.

use std::sync::Arc;

use portcullis::Role;
use serde_json::Value;

use crate::config::document::Document;
use crate::config::document::Environment;
use crate::config::error::ConfigError;
use crate::config::error::unknown;
use crate::config::plugin::NAME_RULE;
use crate::config::plugin::PluginConfig;
use crate::config::plugin::PluginSource;
use crate::config::plugin::is_name;
use crate::config::reader::Item;
use crate::config::registries::RegistriesConfig;
use crate::config::sources::Sources;
use crate::config::trust;
use crate::signature::TrustedKeys;

impl PluginConfig {
    /// Reads an object of JSON that has the keys of a plugin in this role. Paths in it are relative to the folder of the
    /// process. `plugin` stands for the component if the program has its bytes; then the key `plugin` isn't allowed.
    /// `acceptors` are the names that `grants.negotiate` may have.
    ///
    /// # Errors
    ///
    /// Returns all mistakes, each with its key.
    pub fn of_json(
        name: &str,
        role: Role,
        keys: &Value,
        plugin: Option<PluginSource>,
        acceptors: &[&str],
        environment: &Environment,
    ) -> Result<Self, Vec<ConfigError>> {
        let sources = Sources::default();
        let document = Document::without_lines(&format!("{role} {name:?}"), environment, &sources);
        let item = Item::of_whole_json(&document, keys);
        let read = item.and_then(|item| match plugin {
            None => Self::read(name.to_owned(), role, item, None),
            Some(plugin) => Self::of_bytes(name, role, item, plugin),
        });
        let acceptor = read.as_ref().and_then(|read| read.grants.negotiate.as_deref());
        if let Some(acceptor) = acceptor.filter(|name| !acceptors.contains(name)) {
            let place = document.location().key("grants").key("negotiate");
            document.report(place.error(unknown("acceptor", acceptor, acceptors.iter().copied())));
        }
        match (read, document.into_errors()) {
            (Some(read), errors) if errors.is_empty() => Ok(read),
            (_, errors) => Err(errors),
        }
    }

    fn of_bytes(name: &str, role: Role, item: Item<'_>, plugin: PluginSource) -> Option<Self> {
        if !is_name(name) {
            item.place.report(format!("an {role}'s name must be {NAME_RULE}"));
        }
        let mut table = item.table()?;
        if let Some(item) = table.take("plugin") {
            item.place.report("isn't allowed here: the component is given already");
        }
        if let Some(item) = table.take("trust") {
            item.place
                .report("needs the signature beside a file: name the plugin by its path");
        }
        let location = table.place.location().clone();
        Self::read_rest(name.to_owned(), role, Some(plugin), location, table)
    }
}

/// Reads a list of JSON that is the `trust` of a program's own, whose paths are relative to the folder of the process.
///
/// # Errors
///
/// Returns all mistakes, each with its place in the list.
pub fn trust_of_json(keys: &Value, environment: &Environment) -> Result<Arc<TrustedKeys>, Vec<ConfigError>> {
    let sources = Sources::default();
    let document = Document::without_lines("plugins", environment, &sources);
    let read = Item::of_json(&document, "trust", keys).map(trust::read);
    match (read, document.into_errors()) {
        (Some(read), errors) if errors.is_empty() => Ok(read),
        (_, errors) => Err(errors),
    }
}

/// Reads an object of JSON that has the keys of `[registries]`: a registry's host, and how it is reached. Paths are relative to the
/// folder of the process.
///
/// # Errors
///
/// Returns all mistakes, each with its key.
pub fn registries_of_json(keys: &Value, environment: &Environment) -> Result<RegistriesConfig, Vec<ConfigError>> {
    let sources = Sources::default();
    let document = Document::without_lines("engine", environment, &sources);
    let table = Item::of_json(&document, "registries", keys).and_then(Item::table);
    let read = RegistriesConfig::read(table, environment);
    match document.into_errors() {
        errors if errors.is_empty() => Ok(read),
        errors => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_a_program_are_read_as_those_of_a_file_are() {
        let environment = Environment::from([("PASSWORD", "hunter2")]);
        let keys = json!({
            "plugin": "simple",
            "settings": {"password": "env:PASSWORD"},
            "grants": {"http": ["https://idp.example"]},
            "http_headers": {"https://idp.example": {"authorization": "Bearer env:PASSWORD"}},
            "limits": {"deadline": "2s"},
            "log": "warn",
        });
        let read = PluginConfig::of_json("people", Role::Authenticator, &keys, None, &[], &environment).unwrap();
        assert_eq!(read.plugin, PluginSource::BuiltIn("simple".to_owned()));
        assert_eq!(read.settings.value(), &json!({"password": "hunter2"}));
        assert_eq!(read.limits.deadline.as_secs(), 2);
        assert_eq!(read.log, Some(tracing::Level::WARN));
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn a_mistake_is_told_with_its_key() {
        let given = || Some(PluginSource::BuiltIn("simple".to_owned()));
        let negotiate = "grants.negotiate: unknown acceptor; expected one of corp";
        for (keys, plugin, expected) in [
            (json!({}), None, vec!["the key \"plugin\" is missing"]),
            (
                json!({"setings": {}}),
                given(),
                vec!["setings: unknown key; did you mean \"settings\"?"],
            ),
            (
                json!({"settings": {"a": [1, null]}, "limits": {"rate": null}}),
                given(),
                vec![
                    "limits.rate: is null, which is no value here: leave it out",
                    "settings.a[1]: is null, which is no value here: leave it out",
                ],
            ),
            (
                json!({"settings": {"a": u64::MAX}}),
                given(),
                vec!["settings.a: must be at most 9223372036854775807"],
            ),
            (
                json!({"plugin": "jwt", "trust": []}),
                given(),
                vec![
                    "plugin: isn't allowed here: the component is given already",
                    "trust: needs the signature beside a file: name the plugin by its path",
                ],
            ),
            (
                json!({"settings": {"a": "env:NOWHERE"}}),
                given(),
                vec!["settings.a: the environment variable \"NOWHERE\" is not set"],
            ),
            (json!({"grants": {"negotiate": "dask"}}), given(), vec![negotiate]),
            (json!([]), given(), vec!["expected a table, found a list"]),
        ] {
            let role = Role::Authenticator;
            let read = PluginConfig::of_json("people", role, &keys, plugin, &["corp"], &Environment::default());
            let told = Vec::from_iter(read.unwrap_err().iter().map(|error| error.below("")));
            assert_eq!(told, expected, "{keys}");
        }
    }

    #[test]
    fn an_unknown_key_of_an_authorizer_is_told_with_the_keys_that_one_has() {
        let told = |keys: Value| {
            let plugin = PluginSource::BuiltIn("cedar".to_owned());
            let read = PluginConfig::of_json(
                "api",
                Role::Authorizer,
                &keys,
                Some(plugin),
                &[],
                &Environment::default(),
            );
            Vec::from_iter(read.unwrap_err().iter().map(|error| error.below("")))
        };
        for unknown in [json!({"nothing_like_it": 1}), json!({"grants": {"nothing_like_it": 1}})] {
            let [error] = told(unknown).try_into().unwrap();
            assert!(error.contains("expected one of") && !error.contains("login"), "{error}");
            assert!(!error.contains("title"), "{error}");
        }
        assert_eq!(
            told(json!({"login": true, "title": "Staff", "grants": {"login": []}})).len(),
            3,
            "but what these keys are for is said"
        );
    }
}
