//! Settings, checked against a plugin's own JSON Schema before the plugin sees them. So a mistake is reported with its
//! place and the nearest known name, and all mistakes at once.

mod explain;

use std::fmt;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use self::explain::explain;
use super::error::PluginError;

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

/// Longest time for checking settings. A schema may be small to read and take for ever to check.
const LONGEST: Duration = Duration::from_secs(5);

/// Checks settings against a plugin's schema, in a thread of its own: it can't be stopped, but nobody waits for it longer
/// than this, and a process that ends takes it along.
pub(super) async fn check(settings: &serde_json::Value, schema: serde_json::Value) -> Result<(), ConfigureError> {
    let (done, checked) = oneshot::channel();
    let settings = settings.clone();
    thread::Builder::new()
        .name("portcullis-schema".to_owned())
        .spawn(move || done.send(compare(&settings, &schema)))
        .map_err(|error| PluginError::output(format!("no thread to check its settings schema: {error}")))?;
    match timeout(LONGEST, checked).await {
        Ok(Ok(result)) => result,
        _ => Err(PluginError::output("the settings can't be checked against the settings schema in time").into()),
    }
}

fn compare(settings: &serde_json::Value, schema: &serde_json::Value) -> Result<(), ConfigureError> {
    let validator = jsonschema::validator_for(schema)
        .map_err(|_| PluginError::output("the settings schema is no JSON Schema of draft 2020-12"))?;
    let mut errors: Vec<_> = validator
        .iter_errors(settings)
        .flat_map(|error| explain(&error, schema))
        .collect();
    errors.sort_by(|one, other| one.path.cmp(&other.path));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ConfigureError::Settings(errors))
    }
}
