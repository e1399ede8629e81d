//! Makes one authenticator of its configuration. Errors that the plugin reports about its settings get a file, a line and a
//! key.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis::Authenticator;
use portcullis::AuthenticatorBuilder;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::Negotiator;
use portcullis::SettingsError;

use crate::config::authenticator::AuthenticatorConfig;
use crate::config::error::ConfigError;
use crate::config::error::unknown;
use crate::warning::PluginWarning;

/// What checks the Kerberos tokens of authenticators, by the name in `grants.negotiate`.
pub type Negotiators = HashMap<String, Arc<dyn Negotiator>>;

/// Builds an authenticator of its configuration and its component. The errors have their places in the configuration.
pub(crate) async fn build(
    config: &AuthenticatorConfig,
    negotiators: &Negotiators,
    component: &Component,
) -> Result<Authenticator, Vec<ConfigError>> {
    let mut builder = builder(config, component);
    let negotiator = config.grants.negotiate.as_ref().and_then(|name| negotiators.get(name));
    if let Some(negotiator) = negotiator {
        builder = builder.negotiator(Arc::clone(negotiator));
    }
    builder.build().await.map_err(|error| config_errors(config, error))
}

/// Builds an authenticator that is asked about a few requests at once, whatever others do, and without acceptors.
pub(crate) async fn build_for_trial(
    config: &AuthenticatorConfig,
    component: &Component,
) -> Result<Authenticator, Vec<ConfigError>> {
    let built = builder(config, component).build_for_trial().await;
    built.map_err(|error| config_errors(config, error))
}

fn builder(config: &AuthenticatorConfig, component: &Component) -> AuthenticatorBuilder {
    let builder = Authenticator::builder(&config.name, component)
        .settings(config.settings.value().clone())
        .grants(config.grants.clone())
        .outbound(config.outbound.clone())
        .limits(config.limits);
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

/// Builds one authenticator of a component, without its self-test. The warnings are about its settings.
///
/// # Errors
///
/// Returns the mistakes in its settings.
pub async fn build_alone(
    config: &AuthenticatorConfig,
    negotiators: &Negotiators,
    component: &Component,
) -> Result<(Authenticator, Vec<PluginWarning>), Vec<ConfigError>> {
    let built = build(config, negotiators, component).await?;
    let warnings = warnings(config, &built).collect();
    Ok((built, warnings))
}

/// What the plugin itself, or the settings, need and don't have.
pub(crate) fn warnings(
    config: &AuthenticatorConfig,
    authenticator: &Authenticator,
) -> impl Iterator<Item = PluginWarning> {
    authenticator.warnings().iter().map(|warning| PluginWarning::Setting {
        authenticator: config.name.clone(),
        warning: match &warning.setting {
            Some(path) => config.settings.error(path, &warning.message),
            None => config.location.error(&warning.message),
        },
    })
}

fn config_errors(config: &AuthenticatorConfig, error: ConfigureError) -> Vec<ConfigError> {
    match error {
        ConfigureError::Settings(errors) => errors.iter().map(|error| setting_error(config, error)).collect(),
        ConfigureError::Rejected(why) => vec![config.settings.rejected(&why)],
        error => vec![config.location.error(error.to_string())],
    }
}

fn setting_error(config: &AuthenticatorConfig, error: &SettingsError) -> ConfigError {
    let message = match error.path.last() {
        Some(name) if !error.known.is_empty() => unknown("key", name, error.known.iter().map(String::as_str)),
        _ => error.message.clone(),
    };
    config.settings.error(&error.path, message)
}
