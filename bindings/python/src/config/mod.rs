//! The configuration of an authenticator, as dicts that have the keys of TOML. All mistakes are found together, each with its
//! key.

mod grants;
mod limits;
mod mistakes;
mod table;
mod value;

use portcullis::Grants;
use portcullis::Limits;
use portcullis::SettingsError;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyErr;
use pyo3::Python;
use serde_json::Value;

use self::mistakes::Mistakes;
use self::table::Item;
use crate::errors;

/// Settings, grants and limits.
pub(crate) struct Config {
    pub(crate) settings: Value,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
}

/// The rule for names of authenticators.
const NAME_RULE: &str =
    "an authenticator's name must be 1 to 64 letters, digits, - and _, beginning with a letter or digit";

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    text.len() <= 64 && text.bytes().all(allowed) && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

impl Config {
    /// Reads the configuration of the authenticator of this name.
    ///
    /// # Errors
    ///
    /// Returns an exception with all mistakes.
    pub(crate) fn read(
        py: Python<'_>,
        name: &str,
        settings: Option<&Bound<'_, PyAny>>,
        grants: Option<&Bound<'_, PyAny>>,
        limits: Option<&Bound<'_, PyAny>>,
    ) -> Result<Self, PyErr> {
        let mistakes = Mistakes::default();
        if !is_name(name) {
            mistakes.report("name", NAME_RULE);
        }
        let settings = settings.map(|value| value::settings(value, &mistakes));
        let table = |key: &str, value: Option<&Bound<'_, PyAny>>| {
            let value = value::plain(value?, key, &mistakes)?;
            Item::new(key.to_owned(), value, &mistakes).table()
        };
        let grants = table("grants", grants).map(grants::read).unwrap_or_default();
        let limits = table("limits", limits).map(limits::read).unwrap_or_default();
        let mistakes = mistakes.into_inner();
        if !mistakes.is_empty() {
            return Err(errors::configuration(py, name, mistakes));
        }
        Ok(Self {
            settings: settings.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            grants,
            limits,
        })
    }
}

/// The text for a mistake that a plugin's schema has shown.
pub(crate) fn setting_mistake(error: &SettingsError) -> String {
    let place = mistakes::place("settings", &error.path);
    let message = match error.path.last() {
        Some(name) if !error.known.is_empty() => mistakes::unknown(name, error.known.iter().map(String::as_str)),
        _ => error.message.clone(),
    };
    format!("{place}: {message}")
}

/// The text for a message about the setting at this path.
pub(crate) fn setting_message(path: &[String], message: &str) -> String {
    format!("{}: {message}", mistakes::place("settings", path))
}
