//! What is told of plugins that works, but may not be meant; and which of them are disabled or left out.

use std::fmt;

use portcullis::Role;

use crate::config::error::ConfigError;

/// A warning about a plugin.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a new kind needs a decision wherever warnings are told"
)]
pub enum PluginWarning {
    /// The plugin directory has a plugin that can't be loaded, and that isn't asked about any request.
    Broken {
        /// The name that the plugin would have.
        plugin: String,
        /// Its role.
        role: Role,
        /// Why it can't be loaded.
        error: ConfigError,
    },
    /// The component of this plugin isn't of the required origin, its registry can't be asked, or it fails its own self-test, so the
    /// plugin is disabled.
    Disabled {
        /// The name of the plugin.
        plugin: String,
        /// Its role.
        role: Role,
        /// What isn't as required.
        error: ConfigError,
    },
    /// This plugin or a setting of it needs what its grants or limits don't allow, or something is granted
    /// that the plugin never asks for.
    Setting {
        /// The name of the plugin.
        plugin: String,
        /// Its role.
        role: Role,
        /// What is missing or superfluous, with its place.
        warning: ConfigError,
    },
}

impl PluginWarning {
    /// The name of the plugin.
    pub fn plugin(&self) -> &str {
        let (Self::Broken { plugin, .. } | Self::Disabled { plugin, .. } | Self::Setting { plugin, .. }) = self;
        plugin
    }

    /// Writes it to the log.
    pub fn log(&self) {
        let (Self::Broken { plugin, role, .. }
        | Self::Disabled { plugin, role, .. }
        | Self::Setting { plugin, role, .. }) = self;
        let is_authorizer = *role == Role::Authorizer;
        let authorizer = is_authorizer.then_some(plugin.as_str());
        let authenticator = (!is_authorizer).then_some(plugin.as_str());
        match self {
            Self::Broken { .. } | Self::Setting { .. } => tracing::warn!(authenticator, authorizer, "{self}"),
            Self::Disabled { .. } => tracing::error!(authenticator, authorizer, "{self}"),
        }
    }

    /// Why the plugin is disabled. `None` if the warning is about something else.
    pub fn disabling(&self) -> Option<&ConfigError> {
        match self {
            Self::Disabled { error, .. } => Some(error),
            Self::Broken { .. } | Self::Setting { .. } => None,
        }
    }
}

impl fmt::Display for PluginWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { warning, .. } => warning.fmt(f),
            Self::Disabled { plugin, error, .. } => write!(
                f,
                "{error}; so {plugin} is disabled, and requests about which it would be asked are answered with 503"
            ),
            Self::Broken { error, .. } => write!(f, "{error} (nothing asks it, so everything else works)"),
        }
    }
}
