//! Makes one authenticator or authorizer of its configuration. Errors that the plugin reports about its settings get a file, a line and a
//! key.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis::Authenticator;
use portcullis::Authorizer;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::InRole;
use portcullis::Negotiator;
use portcullis::Plugin;
use portcullis::PluginBuilder;
use portcullis::Role;
use portcullis::SettingsError;

use crate::asked::AskedPlugin;
use crate::config::error::ConfigError;
use crate::config::error::unknown;
use crate::config::plugin::PluginConfig;
use crate::warning::PluginWarning;

/// What checks the Kerberos tokens of authenticators, by the name in `grants.negotiate`.
pub type Negotiators = HashMap<String, Arc<dyn Negotiator>>;

/// A plugin that must not run, for this reason.
pub(crate) fn disabled(config: &PluginConfig, why: &ConfigError) -> AskedPlugin {
    let (name, grants, why) = (&config.name, config.grants.clone(), why.to_string());
    match config.role {
        Role::Authorizer => Authorizer::disabled(name, grants, why).into(),
        _ => Authenticator::disabled(name, grants, why).into(),
    }
}

/// Builds a plugin of its configuration and its component. The errors have their places in the configuration.
pub(crate) async fn build(
    config: &PluginConfig,
    negotiators: &Negotiators,
    component: &Component,
) -> Result<AskedPlugin, Vec<ConfigError>> {
    match config.role {
        Role::Authorizer => build_as::<Authorizer>(config, negotiators, component).await,
        _ => build_as::<Authenticator>(config, negotiators, component).await,
    }
}

async fn build_as<R: InRole + Into<AskedPlugin>>(
    config: &PluginConfig,
    negotiators: &Negotiators,
    component: &Component,
) -> Result<AskedPlugin, Vec<ConfigError>> {
    let mut builder = builder::<R>(config, component);
    let negotiator = config.grants.negotiate.as_ref().and_then(|name| negotiators.get(name));
    if let Some(negotiator) = negotiator {
        builder = builder.negotiator(Arc::clone(negotiator));
    }
    let built = builder.build().await.map_err(|error| config_errors(config, error))?;
    Ok(built.into())
}

/// Builds a plugin that is asked about a few requests at once, whatever others do, and without acceptors.
pub(crate) async fn build_for_trial(
    config: &PluginConfig,
    component: &Component,
) -> Result<AskedPlugin, Vec<ConfigError>> {
    let built = match config.role {
        Role::Authorizer => {
            let built = builder::<Authorizer>(config, component).build_for_trial().await;
            built.map(AskedPlugin::from)
        }
        _ => {
            let built = builder::<Authenticator>(config, component).build_for_trial().await;
            built.map(AskedPlugin::from)
        }
    };
    built.map_err(|error| config_errors(config, error))
}

fn builder<R: InRole>(config: &PluginConfig, component: &Component) -> PluginBuilder<R> {
    let builder = PluginBuilder::new(&config.name, component)
        .settings(config.settings.value().clone())
        .grants(config.grants.clone())
        .outbound(config.outbound.clone())
        .limits(config.limits);
    let builder = match config.grants_servers_of_settings {
        true => builder.grant_servers_of_settings(),
        false => builder,
    };
    let keys = config.signing_keys.iter();
    let builder = keys.fold(builder, |builder, (name, key)| builder.signing_key(name, key.clone()));
    let builder = match config.log {
        Some(level) => builder.log_level(level),
        None => builder,
    };
    match config.instances {
        Some(rules) => builder.keep_instances(rules),
        None => builder,
    }
}

/// Builds one plugin of a component, without its self-test. The warnings are about its settings.
///
/// # Errors
///
/// Returns the mistakes in its settings.
pub async fn build_alone(
    config: &PluginConfig,
    negotiators: &Negotiators,
    component: &Component,
) -> Result<(AskedPlugin, Vec<PluginWarning>), Vec<ConfigError>> {
    let built = build(config, negotiators, component).await?;
    let warnings = warnings(config, &built).collect();
    Ok((built, warnings))
}

/// What the plugin itself, or the settings, need and don't have.
pub(crate) fn warnings(config: &PluginConfig, plugin: &Plugin) -> impl Iterator<Item = PluginWarning> {
    plugin.warnings().iter().map(|warning| PluginWarning::Setting {
        plugin: config.name.clone(),
        role: config.role,
        warning: match &warning.setting {
            Some(path) => config.settings.error(path, &warning.message),
            None => config.location.error(&warning.message),
        },
    })
}

fn config_errors(config: &PluginConfig, error: ConfigureError) -> Vec<ConfigError> {
    match error {
        ConfigureError::Settings(errors) => errors.iter().map(|error| setting_error(config, error)).collect(),
        ConfigureError::Rejected(why) => config.settings.rejected(&why),
        ConfigureError::Role(Role::Authorizer) => vec![
            config.error("this plugin is an authenticator, and not an authorizer: it belongs into [authenticators]"),
        ],
        ConfigureError::Role(_) => {
            vec![config.error("this plugin is an authorizer, and not an authenticator: it belongs into [authorizers]")]
        }
        error => vec![config.location.error(error.to_string())],
    }
}

fn setting_error(config: &PluginConfig, error: &SettingsError) -> ConfigError {
    let message = match error.path.last() {
        Some(name) if !error.known.is_empty() => unknown("key", name, error.known.iter().map(String::as_str)),
        _ => error.message.clone(),
    };
    config.settings.error(&error.path, message)
}
