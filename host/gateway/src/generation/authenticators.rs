//! Builds authenticators from components. Errors that plugins report about their settings get a file, a line and a key.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis::Authenticator;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::SettingsError;

use crate::config::AuthenticatorConfig;
use crate::config::ConfigError;
use crate::config::RotatingHeader;
use crate::config::RouteConfig;
use crate::config::unknown;
use crate::generation::Warning;
use crate::generation::components::LoadedComponent;
use crate::generation::components::Unusable;
use crate::generation::previous::Previous;
use crate::kerberos::Acceptor;
use crate::signature::Signer;

/// How many authenticators are configured at the same time.
const CONCURRENCY: usize = 16;

/// An authenticator, and what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct LoadedAuthenticator {
    pub(super) authenticator: Authenticator,
    /// The headers of its requests whose secrets are in files.
    pub(super) rotating: Vec<RotatingHeader>,
    /// Whether it was found in the plugin directory.
    pub(super) is_dropped_in: bool,
    /// Whether its component comes from a registry.
    pub(super) is_remote: bool,
    /// Who signed its component. `None` if no signature is required, or if it is disabled.
    pub(super) signer: Option<Signer>,
}

/// The authenticators of a configuration.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Those that work or are disabled, by name.
    pub(super) authenticators: HashMap<String, LoadedAuthenticator>,
    /// What the settings of these need, and their grants and limits don't allow; why some are disabled.
    pub(super) warnings: Vec<Warning>,
    /// The errors of the others.
    pub(super) errors: Vec<ConfigError>,
}

/// Builds every authenticator from its component. One that can't be loaded is an error, unless it lies in the plugin directory and no route
/// asks it: a stray file there keeps nothing else from working. One whose component isn't of the required origin is disabled at
/// the start: its routes are closed, and all others work.
pub(super) async fn load(
    configured: &[AuthenticatorConfig],
    components: Vec<Result<LoadedComponent, Unusable<ConfigError>>>,
    routes: &[RouteConfig],
    acceptors: &HashMap<String, Acceptor>,
    previous: Previous<'_>,
) -> Loaded {
    let unpinned = components.iter().zip(configured).filter_map(|(component, config)| {
        let (reference, digest) = component.as_ref().ok()?.unpinned.clone()?;
        let error = config.location.error(format!(
            "{reference} has no pin in portcullis.lock yet; `serve` pins it to the version that it finds, now {digest}"
        ));
        let authenticator = config.name.clone();
        Some(Warning::Unpinned { authenticator, error })
    });
    let unpinned = Vec::from_iter(unpinned);
    let all = configured.iter().zip(components);
    let all = Vec::from_iter(all.map(|(config, component)| keep_or_build(config, component, acceptors, previous)));
    let built = stream::iter(all).buffered(CONCURRENCY).collect::<Vec<_>>().await;
    let mut loaded = Loaded {
        warnings: unpinned,
        ..Loaded::default()
    };
    for (config, result) in configured.iter().zip(built) {
        match result {
            Ok(built) => {
                loaded.warnings.extend(warnings(config, &built.authenticator));
                loaded.authenticators.insert(config.name.clone(), built);
            }
            Err(found) if config.is_dropped_in && !is_used(&config.name, routes) => {
                let broken = found.into_errors().into_iter().map(|error| Warning::Broken {
                    authenticator: config.name.clone(),
                    error,
                });
                loaded.warnings.extend(broken);
            }
            Err(Unloaded::Untrusted(error)) if previous.allows_disabling(&config.name) => {
                loaded
                    .authenticators
                    .insert(config.name.clone(), disabled(config, &error));
                loaded.warnings.push(Warning::Disabled {
                    authenticator: config.name.clone(),
                    error,
                });
            }
            Err(found) => loaded.errors.extend(found.into_errors()),
        }
    }
    loaded
}

/// Whether a route asks the authenticator of this name. Without it, it isn't known whom such a route may let in.
fn is_used(name: &str, routes: &[RouteConfig]) -> bool {
    let mut asked = routes.iter().flat_map(|route| route.access.authenticators());
    asked.any(|asked| asked == name)
}

fn warnings(config: &AuthenticatorConfig, authenticator: &Authenticator) -> impl Iterator<Item = Warning> {
    authenticator.warnings().iter().map(|warning| Warning::Setting {
        authenticator: config.name.clone(),
        warning: match &warning.setting {
            Some(path) => config.settings.error(path, &warning.message),
            None => config.location.error(&warning.message),
        },
    })
}

/// Why an authenticator isn't built.
enum Unloaded {
    /// Its component isn't of the required origin.
    Untrusted(ConfigError),
    /// It has these mistakes.
    Wrong(Vec<ConfigError>),
}

impl Unloaded {
    fn into_errors(self) -> Vec<ConfigError> {
        match self {
            Self::Untrusted(error) => vec![error],
            Self::Wrong(errors) => errors,
        }
    }
}

async fn keep_or_build(
    config: &AuthenticatorConfig,
    component: Result<LoadedComponent, Unusable<ConfigError>>,
    acceptors: &HashMap<String, Acceptor>,
    previous: Previous<'_>,
) -> Result<LoadedAuthenticator, Unloaded> {
    let LoadedComponent { component, signer, .. } = component.map_err(|why| match why {
        Unusable::Untrusted(error) => Unloaded::Untrusted(error),
        Unusable::Broken(error) => Unloaded::Wrong(vec![error]),
    })?;
    let loaded = match previous.authenticator(config, &component) {
        Some(known) => LoadedAuthenticator {
            is_dropped_in: config.is_dropped_in,
            is_remote: config.plugin.is_remote(),
            ..known.clone()
        },
        None => build(config, acceptors, &component).await.map_err(Unloaded::Wrong)?,
    };
    // The same component may have another signature than before.
    Ok(LoadedAuthenticator { signer, ..loaded })
}

fn disabled(config: &AuthenticatorConfig, why: &ConfigError) -> LoadedAuthenticator {
    LoadedAuthenticator {
        authenticator: Authenticator::disabled(&config.name, config.grants.clone(), why.to_string()),
        rotating: Vec::new(),
        is_dropped_in: config.is_dropped_in,
        is_remote: config.plugin.is_remote(),
        signer: None,
    }
}

async fn build(
    config: &AuthenticatorConfig,
    acceptors: &HashMap<String, Acceptor>,
    component: &Component,
) -> Result<LoadedAuthenticator, Vec<ConfigError>> {
    let mut builder = Authenticator::builder(&config.name, component)
        .settings(config.settings.value().clone())
        .grants(config.grants.clone())
        .outbound(config.outbound.clone())
        .limits(config.limits);
    if let Some(level) = config.log {
        builder = builder.log_level(level);
    }
    if let Some(rules) = config.instances {
        builder = builder.keep_instances(rules);
    }
    let acceptor = config.grants.negotiate.as_ref().and_then(|name| acceptors.get(name));
    if let Some(acceptor) = acceptor {
        builder = builder.negotiator(Arc::new(acceptor.clone()));
    }
    let built = builder.build().await;
    Ok(LoadedAuthenticator {
        authenticator: built.map_err(|error| config_errors(config, error))?,
        rotating: config.rotating.clone(),
        is_dropped_in: config.is_dropped_in,
        is_remote: config.plugin.is_remote(),
        signer: None,
    })
}

/// Builds one authenticator of a component, without routes and without acceptors. The warnings are about its settings.
pub(crate) async fn build_alone(
    config: &AuthenticatorConfig,
    component: &Component,
) -> Result<(Authenticator, Vec<Warning>), Vec<ConfigError>> {
    let built = build(config, &HashMap::new(), component).await?.authenticator;
    let warnings = warnings(config, &built).collect();
    Ok((built, warnings))
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
