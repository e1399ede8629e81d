//! Checks settings against the plugin's JSON Schema before the plugin gets them. All mistakes are reported at once,
//! each with its path and, for an unknown key, the known ones.

mod explain;
mod schema;
mod servers;
#[cfg(test)]
mod tests;
mod warning;

use std::fmt;

use serde_json::Value;

use self::explain::explain;
use self::schema::Exhausted;
use self::schema::Schema;
pub(crate) use self::warning::Asked;
pub use self::warning::ConfigurationWarning;
use crate::component::Manifest;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::role::Role;
use crate::sandbox::PluginError;

/// Why a component can't be configured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// The plugin failed before it could check them.
    #[error("the plugin can't be configured: {0}")]
    Failed(#[from] PluginError),
    /// The plugin rejects the settings, with this message.
    #[error("the plugin refuses its settings: {0}")]
    Rejected(String),
    /// The component isn't a plugin for this role.
    #[error("the component is no {0}")]
    Role(Role),
    /// The settings don't match the plugin's schema.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingsError>),
}

/// One mistake in the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SettingsError {
    /// The path of keys and indices, starting at the settings.
    pub path: Vec<String>,
    /// The mistake. The text doesn't repeat values, which may be secrets.
    pub message: String,
    /// The known keys at this path if the mistake is an unknown key, else empty.
    pub known: Vec<String>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_at(f, &self.path, &self.message)
    }
}

fn write_at(f: &mut fmt::Formatter<'_>, path: &[String], message: &str) -> fmt::Result {
    let path: String = path.iter().map(|key| format!(".{key}")).collect();
    write!(f, "settings{path}: {message}")
}

/// The most mistakes that are reported at once.
const MAX_MISTAKES: usize = 1000;

/// Checks a settings schema itself, as loading a plugin does.
///
/// # Errors
///
/// Returns what is wrong with the schema, and where.
pub fn check_settings_schema(schema: &Value) -> Result<(), PluginError> {
    parse(schema).map(|_| ())
}

fn parse(schema: &Value) -> Result<Schema<'_>, PluginError> {
    Schema::parse(schema).map_err(|why| {
        PluginError::output(format!(
            "the settings schema is no JSON Schema that can be checked: {why}"
        ))
    })
}

/// Checks settings against a plugin's schema. Returns what they and the plugin's manifest ask for, compared with the grants and
/// limits. With `grants_servers`, the servers that the settings name are granted before.
pub(super) fn check(
    settings: &Value,
    schema: &Value,
    manifest: Option<&Manifest>,
    grants_servers: bool,
    grants: &mut Grants,
    limits: &Limits,
) -> Result<Asked, ConfigureError> {
    let schema = parse(schema)?;
    let exhausted =
        |Exhausted| PluginError::output("the settings can't be checked against the settings schema in time");
    let mut complaints = schema.check(settings).map_err(exhausted)?;
    if complaints.is_empty() {
        let needs = schema.needs(settings).map_err(exhausted)?;
        if grants_servers {
            servers::grant(&needs, grants);
        }
        return Ok(Asked::new(needs, manifest, grants, limits));
    }
    complaints.truncate(MAX_MISTAKES);
    let mut errors: Vec<_> = complaints.into_iter().flat_map(explain).collect();
    errors.sort_by(|one, other| one.path.cmp(&other.path));
    Err(ConfigureError::Settings(errors))
}
