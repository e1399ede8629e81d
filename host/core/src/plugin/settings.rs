//! Settings, checked against a plugin's own JSON Schema before the plugin sees them. So a mistake is reported with its
//! place and the nearest known name, and all mistakes at once.

mod explain;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use self::explain::explain;
use self::schema::Exhausted;
use self::schema::Schema;
use crate::sandbox::PluginError;

/// Why a component can't be configured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// The plugin failed.
    #[error("the plugin can't be configured: {0}")]
    Failed(#[from] PluginError),
    /// The plugin says what is wrong with the settings.
    #[error("the plugin refuses its settings: {0}")]
    Rejected(String),
    /// The settings don't fit the plugin's schema.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingsError>),
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SettingsError {
    /// The keys and indices that lead to it, from the settings down.
    pub path: Vec<String>,
    /// What is wrong; it repeats no value.
    pub message: String,
    /// The names that are known there, when it is about an unknown one.
    pub known: Vec<String>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: String = self.path.iter().map(|key| format!(".{key}")).collect();
        write!(f, "settings{path}: {}", self.message)
    }
}

/// The most mistakes that are told at once.
const MAX_MISTAKES: usize = 1000;

/// Checks settings against a plugin's schema.
pub(super) fn check(settings: &Value, schema: &Value) -> Result<(), ConfigureError> {
    let schema = Schema::parse(schema).map_err(|why| {
        PluginError::output(format!(
            "the settings schema is no JSON Schema that can be checked: {why}"
        ))
    })?;
    let mut complaints = schema.check(settings).map_err(|Exhausted| {
        PluginError::output("the settings can't be checked against the settings schema in time")
    })?;
    if complaints.is_empty() {
        return Ok(());
    }
    complaints.truncate(MAX_MISTAKES);
    let mut errors: Vec<_> = complaints.into_iter().flat_map(explain).collect();
    errors.sort_by(|one, other| one.path.cmp(&other.path));
    Err(ConfigureError::Settings(errors))
}
