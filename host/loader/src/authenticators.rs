//! The authenticators of a configuration. What is made of the same things as before lives on in the next set, with its
//! connections, its breaker and its decisions.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis::Authenticator;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::Digest;
use portcullis::Negotiator;
use portcullis::SettingsError;

use crate::component::LoadedComponent;
use crate::component::Unusable;
use crate::config::authenticator::AuthenticatorConfig;
use crate::config::digests::Digests;
use crate::config::error::ConfigError;
use crate::config::error::unknown;
use crate::config::rotation::RotatingHeader;
use crate::difference::Part;
use crate::difference::Parts;
use crate::signature::Signer;

/// How many authenticators are configured at the same time.
const CONCURRENCY: usize = 16;

/// What checks the Kerberos tokens of authenticators, by the name in `grants.negotiate`.
pub type Negotiators = HashMap<String, Arc<dyn Negotiator>>;

/// The authenticators of one loaded configuration, by name. A set never changes; the next configuration becomes the next set.
#[derive(Debug, Default)]
pub struct AuthenticatorSet(BTreeMap<String, LoadedAuthenticator>);

/// An authenticator, and what belongs to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedAuthenticator {
    /// The authenticator, which may be disabled.
    pub authenticator: Authenticator,
    /// Whether its component comes from a registry.
    pub is_remote: bool,
    /// Who signed its component. `None` if no signature is required, or if it is disabled.
    pub signer: Option<Signer>,
    /// Whether it was found in the plugin directory, and isn't named by a configuration.
    is_dropped_in: bool,
    /// The headers of its requests whose secrets are in files.
    rotating: Vec<RotatingHeader>,
    made_of: Ingredients,
}

/// What an authenticator is made of, besides its component. If none of it differs, the next one would be the same.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Ingredients {
    /// Its own keys, with the contents of the files that they name.
    values: Digests,
    /// Those of its acceptor.
    acceptor: Digests,
    /// The files that are read again while it runs. The same text names other files if it stands in another folder.
    rotating: Vec<PathBuf>,
}

impl Ingredients {
    fn of(config: &AuthenticatorConfig, all: &Digests) -> Self {
        let acceptor = config.grants.negotiate.as_deref();
        let files = config.rotating.iter().map(RotatingHeader::file);
        Self {
            values: all.below(&["authenticators", &config.name]),
            acceptor: acceptor.map(|name| all.below(&["negotiate", name])).unwrap_or_default(),
            rotating: files.map(ToOwned::to_owned).collect(),
        }
    }
}

/// What a set is made from.
#[derive(Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "whoever loads a set has to say all of it")]
pub struct Sources<'a> {
    /// The authenticators.
    pub configured: &'a [AuthenticatorConfig],
    /// The digests of all values of the configuration.
    pub digests: &'a Digests,
    /// What checks Kerberos tokens.
    pub negotiators: &'a Negotiators,
    /// Whether the authenticator of this name is asked about requests. If not, and if it was found in the plugin directory,
    /// what is wrong with it keeps nothing else from working.
    pub is_asked: &'a (dyn Fn(&str) -> bool + Sync),
    /// The set before. `None` at the start.
    pub previous: Option<&'a AuthenticatorSet>,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Sources");
        shown.field("configured", &self.configured).finish_non_exhaustive()
    }
}

/// The outcome of loading a set.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// The authenticators that work or are disabled.
    pub set: AuthenticatorSet,
    /// What is allowed but may not be meant, and why some are disabled or left out.
    pub warnings: Vec<PluginWarning>,
    /// The mistakes. Unless there are none, the set isn't complete and must not be used.
    pub errors: Vec<ConfigError>,
}

/// A warning about a plugin.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a new kind needs a decision wherever warnings are told"
)]
pub enum PluginWarning {
    /// The plugin directory has a plugin that can't be loaded, and that isn't asked about any request.
    Broken {
        /// The name that the authenticator would have.
        authenticator: String,
        /// Why it can't be loaded.
        error: ConfigError,
    },
    /// The component of this authenticator isn't of the required origin, or its registry can't be asked, so the authenticator
    /// is disabled.
    Disabled {
        /// The name of the authenticator.
        authenticator: String,
        /// What isn't as required.
        error: ConfigError,
    },
    /// The plugin or a setting of this authenticator needs what its grants or limits don't allow, or something is granted
    /// that the plugin never asks for.
    Setting {
        /// The name of the authenticator.
        authenticator: String,
        /// What is missing or superfluous, with its place.
        warning: ConfigError,
    },
}

impl PluginWarning {
    /// The name of the authenticator.
    pub fn authenticator(&self) -> &str {
        let (Self::Broken { authenticator, .. }
        | Self::Disabled { authenticator, .. }
        | Self::Setting { authenticator, .. }) = self;
        authenticator
    }

    /// Writes it to the log.
    pub fn log(&self) {
        let authenticator = self.authenticator();
        match self {
            Self::Broken { .. } | Self::Setting { .. } => tracing::warn!(authenticator, "{self}"),
            Self::Disabled { .. } => tracing::error!(authenticator, "{self}"),
        }
    }

    /// Why the authenticator is disabled. `None` if the warning is about something else.
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
            Self::Disabled { authenticator, error } => write!(
                f,
                "{error}; so {authenticator} is disabled, and requests about which it would be asked are answered with 503"
            ),
            Self::Broken { error, .. } => write!(f, "{error} (no route asks it, so everything else works)"),
        }
    }
}

impl AuthenticatorSet {
    /// Builds every authenticator from its component, or takes it from the set before. `components` are in the order of the
    /// authenticators.
    ///
    /// One that can't be loaded is an error, unless it lies in the plugin directory and isn't asked: a stray file there keeps
    /// nothing else from working. One whose component isn't of the required origin is disabled at the start; later, it is an
    /// error if it would replace one that works.
    pub async fn load(sources: Sources<'_>, components: Vec<Result<LoadedComponent, Unusable<ConfigError>>>) -> Loaded {
        let configured = sources.configured;
        let all = configured.iter().zip(components);
        let all = Vec::from_iter(all.map(|(config, component)| keep_or_build(config, component, sources)));
        let built = stream::iter(all).buffered(CONCURRENCY).collect::<Vec<_>>().await;
        let mut loaded = Loaded::default();
        for (config, result) in configured.iter().zip(built) {
            let name = config.name.clone();
            match result {
                Ok(built) => {
                    loaded.warnings.extend(warnings(config, &built.authenticator));
                    loaded.set.0.insert(name, built);
                }
                Err(found) if config.is_dropped_in && !(sources.is_asked)(&name) => {
                    let broken = found.into_errors().into_iter().map(|error| PluginWarning::Broken {
                        authenticator: name.clone(),
                        error,
                    });
                    loaded.warnings.extend(broken);
                }
                Err(Unloaded::Untrusted(error)) if allows_disabling(sources.previous, &name) => {
                    loaded
                        .set
                        .0
                        .insert(name.clone(), disabled(config, sources.digests, &error));
                    loaded.warnings.push(PluginWarning::Disabled {
                        authenticator: name,
                        error,
                    });
                }
                Err(found) => loaded.errors.extend(found.into_errors()),
            }
        }
        loaded
    }

    /// The authenticator of this name. `None` if there is none.
    pub fn get(&self, name: &str) -> Option<&Authenticator> {
        self.0.get(name).map(|loaded| &loaded.authenticator)
    }

    /// The authenticators, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &LoadedAuthenticator> {
        self.0.values()
    }

    /// The headers of their requests whose secrets are in files.
    pub fn rotating_headers(&self) -> Vec<RotatingHeader> {
        self.iter().flat_map(|loaded| loaded.rotating.iter().cloned()).collect()
    }

    /// Tells the authenticators that aren't a part of the next set that they were replaced. Those end their work in the
    /// background and take no new decisions into account; a request that asks them still gets its answer.
    pub fn retire(&self, next: &Self) {
        for (name, loaded) in &self.0 {
            let is_kept = next.get(name).is_some_and(|next| next.is(&loaded.authenticator));
            if !is_kept {
                loaded.authenticator.retire();
            }
        }
    }

    /// The authenticators as parts of a configuration, to tell what differs from another one.
    pub fn parts(&self) -> Parts {
        let part = |(name, loaded): (&String, &LoadedAuthenticator)| {
            let kind = match loaded.is_dropped_in {
                true => "plugin",
                false => "authenticator",
            };
            let component = loaded.authenticator.component().map(|component| *component.digest());
            (
                format!("{kind} {name}"),
                Part::new(loaded.made_of.values.clone(), component),
            )
        };
        self.0.iter().map(part).collect()
    }

    /// Their components, by digest.
    pub fn components(&self) -> HashMap<Digest, &Component> {
        let components = self.iter().filter_map(|loaded| loaded.authenticator.component());
        components.map(|component| (*component.digest(), component)).collect()
    }
}

/// Whether an authenticator of this name may be disabled: at the start, or if it is disabled already. One that works isn't
/// replaced by one that is disabled, because then a bad file would do more harm than none.
fn allows_disabling(previous: Option<&AuthenticatorSet>, name: &str) -> bool {
    let Some(previous) = previous else { return true };
    previous.get(name).is_some_and(|known| known.why_disabled().is_some())
}

fn warnings(config: &AuthenticatorConfig, authenticator: &Authenticator) -> impl Iterator<Item = PluginWarning> {
    authenticator.warnings().iter().map(|warning| PluginWarning::Setting {
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
    sources: Sources<'_>,
) -> Result<LoadedAuthenticator, Unloaded> {
    let LoadedComponent { component, signer } = component.map_err(|why| match why {
        Unusable::Untrusted(error) => Unloaded::Untrusted(error),
        Unusable::Broken(error) => Unloaded::Wrong(vec![error]),
    })?;
    let made_of = Ingredients::of(config, sources.digests);
    let known = sources.previous.and_then(|previous| previous.0.get(&config.name));
    let known = known.filter(|known| {
        let own = known.authenticator.component().map(Component::digest);
        known.made_of == made_of && own == Some(component.digest())
    });
    let (authenticator, rotating) = match known {
        Some(known) => (known.authenticator.clone(), known.rotating.clone()),
        None => {
            let built = build(config, sources.negotiators, &component).await;
            (built.map_err(Unloaded::Wrong)?, config.rotating.clone())
        }
    };
    Ok(LoadedAuthenticator {
        authenticator,
        is_remote: config.plugin.is_remote(),
        // The same component may have another signature than before.
        signer,
        is_dropped_in: config.is_dropped_in,
        rotating,
        made_of,
    })
}

fn disabled(config: &AuthenticatorConfig, digests: &Digests, why: &ConfigError) -> LoadedAuthenticator {
    LoadedAuthenticator {
        authenticator: Authenticator::disabled(&config.name, config.grants.clone(), why.to_string()),
        is_remote: config.plugin.is_remote(),
        signer: None,
        is_dropped_in: config.is_dropped_in,
        rotating: Vec::new(),
        made_of: Ingredients::of(config, digests),
    }
}

async fn build(
    config: &AuthenticatorConfig,
    negotiators: &Negotiators,
    component: &Component,
) -> Result<Authenticator, Vec<ConfigError>> {
    let mut builder = Authenticator::builder(&config.name, component)
        .settings(config.settings.value().clone())
        .grants(config.grants.clone())
        .outbound(config.outbound.clone())
        .limits(config.limits);
    if let Some(level) = config.log {
        builder = builder.log_level(level);
    }
    let negotiator = config.grants.negotiate.as_ref().and_then(|name| negotiators.get(name));
    if let Some(negotiator) = negotiator {
        builder = builder.negotiator(Arc::clone(negotiator));
    }
    builder.build().await.map_err(|error| config_errors(config, error))
}

/// Builds one authenticator of a component, without acceptors. The warnings are about its settings.
///
/// # Errors
///
/// Returns the mistakes in its settings.
pub async fn build_alone(
    config: &AuthenticatorConfig,
    component: &Component,
) -> Result<(Authenticator, Vec<PluginWarning>), Vec<ConfigError>> {
    let built = build(config, &Negotiators::new(), component).await?;
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
