//! The authenticators and authorizers of a configuration. What is made of the same things as before lives on in the next set, with its
//! connections, its breaker and its decisions.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis::Authenticator;
use portcullis::Authorizer;
use portcullis::Component;
use portcullis::Digest;

use crate::asked::AskedPlugin;
use crate::build;
use crate::build::Negotiators;
use crate::build::build;
use crate::build::warnings;
use crate::component::LoadedComponent;
use crate::component::Unusable;
use crate::config::digests::Digests;
use crate::config::error::ConfigError;
use crate::config::plugin::PluginConfig;
use crate::config::rotation::RotatingHeader;
use crate::difference::Part;
use crate::difference::Parts;
use crate::self_test;
use crate::signature::Signer;
use crate::warning::PluginWarning;

/// How many plugins are configured at the same time.
const CONCURRENCY: usize = 16;

/// The authenticators and authorizers of one loaded configuration, by name. A set never changes; the next configuration becomes
/// the next set.
#[derive(Debug, Default)]
pub struct PluginSet(BTreeMap<String, LoadedPlugin>);

/// An authenticator or authorizer, and what belongs to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedPlugin {
    /// The plugin, which may be disabled.
    pub plugin: AskedPlugin,
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

/// What a plugin is made of, besides its component. If none of it differs, the next one would be the same.
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
    fn of(config: &PluginConfig, all: &Digests) -> Self {
        let acceptor = config.grants.negotiate.as_deref();
        let files = config.rotating.iter().map(RotatingHeader::file);
        Self {
            values: all.below(&[config.section(), &config.name]),
            acceptor: acceptor.map(|name| all.below(&["negotiate", name])).unwrap_or_default(),
            rotating: files.map(ToOwned::to_owned).collect(),
        }
    }
}

/// What a set is made from.
#[derive(Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "whoever loads a set has to say all of it")]
pub struct Inputs<'a> {
    /// The plugins.
    pub configured: &'a [PluginConfig],
    /// The digests of all values of the configuration.
    pub digests: &'a Digests,
    /// What checks Kerberos tokens.
    pub negotiators: &'a Negotiators,
    /// Whether the plugin of this name is asked about requests. If not, and if it was found in the plugin directory,
    /// what is wrong with it keeps nothing else from working.
    pub is_asked: &'a (dyn Fn(&str) -> bool + Sync),
    /// The set before. `None` at the start.
    pub previous: Option<&'a PluginSet>,
}

impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Inputs");
        shown.field("configured", &self.configured).finish_non_exhaustive()
    }
}

/// The outcome of loading a set.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// The plugins that work or are disabled.
    pub set: PluginSet,
    /// What is allowed but may not be meant, and why some are disabled or left out.
    pub warnings: Vec<PluginWarning>,
    /// The mistakes. Unless there are none, the set isn't complete and must not be used.
    pub errors: Vec<ConfigError>,
}

impl PluginSet {
    /// Builds every plugin from its component, or takes it from the set before. `components` are in the order of the
    /// plugins.
    ///
    /// One that can't be loaded is an error, unless it lies in the plugin directory and isn't asked: a stray file there keeps
    /// nothing else from working. One whose component isn't of the required origin, or fails its own self-test, is disabled at
    /// the start; later, it is an error if it would replace one that works.
    pub async fn load(inputs: Inputs<'_>, components: Vec<Result<LoadedComponent, Unusable<ConfigError>>>) -> Loaded {
        let configured = inputs.configured;
        let all = configured.iter().zip(components);
        let all = Vec::from_iter(all.map(|(config, component)| keep_or_build(config, component, inputs)));
        let built = stream::iter(all).buffered(CONCURRENCY).collect::<Vec<_>>().await;
        let mut loaded = Loaded::default();
        for (config, result) in configured.iter().zip(built) {
            let name = config.name.clone();
            match result {
                Ok(built) => {
                    loaded.warnings.extend(warnings(config, &built.plugin));
                    loaded.set.0.insert(name, built);
                }
                Err(found) if config.is_dropped_in && !(inputs.is_asked)(&name) => {
                    let broken = found.into_errors().into_iter().map(|error| PluginWarning::Broken {
                        plugin: name.clone(),
                        role: config.role,
                        error,
                    });
                    loaded.warnings.extend(broken);
                }
                Err(Unloaded::Unfit(error)) if allows_disabling(inputs.previous, &name) => {
                    loaded
                        .set
                        .0
                        .insert(name.clone(), disabled(config, inputs.digests, &error));
                    loaded.warnings.push(PluginWarning::Disabled {
                        plugin: name,
                        role: config.role,
                        error,
                    });
                }
                Err(found) => loaded.errors.extend(found.into_errors()),
            }
        }
        loaded
    }

    /// The plugin of this name. `None` if there is none.
    pub fn get(&self, name: &str) -> Option<&LoadedPlugin> {
        self.0.get(name)
    }

    /// The authenticator of this name. `None` if there is none.
    pub fn authenticator(&self, name: &str) -> Option<&Authenticator> {
        self.0.get(name)?.plugin.authenticator()
    }

    /// The authorizer of this name. `None` if there is none.
    pub fn authorizer(&self, name: &str) -> Option<&Authorizer> {
        self.0.get(name)?.plugin.authorizer()
    }

    /// The authenticators and authorizers, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &LoadedPlugin> {
        self.0.values()
    }

    /// The headers of their requests whose secrets are in files.
    pub fn rotating_headers(&self) -> Vec<RotatingHeader> {
        self.iter().flat_map(|loaded| loaded.rotating.iter().cloned()).collect()
    }

    /// Tells the plugins that aren't a part of the next set that they were replaced. Their work in the background ends; a
    /// request that asks them still gets its answer.
    pub fn retire(&self, next: &Self) {
        for (name, loaded) in &self.0 {
            let next = next.0.get(name);
            let is_kept = next.is_some_and(|next| next.plugin.is(&loaded.plugin));
            if !is_kept {
                loaded.plugin.retire();
            }
        }
    }

    /// The plugins as parts of a configuration, to tell what differs from another one.
    pub fn parts(&self) -> Parts {
        let part = |(name, loaded): (&String, &LoadedPlugin)| {
            let kind = match loaded.is_dropped_in {
                true => "plugin",
                false => loaded.plugin.role().label(),
            };
            let component = loaded.plugin.component().map(|component| *component.digest());
            (
                format!("{kind} {name}"),
                Part::new(loaded.made_of.values.clone(), component),
            )
        };
        self.0.iter().map(part).collect()
    }

    /// Their components, by digest.
    pub fn components(&self) -> HashMap<Digest, &Component> {
        let components = self.iter().filter_map(|loaded| loaded.plugin.component());
        components.map(|component| (*component.digest(), component)).collect()
    }
}

/// Whether the plugin of this name may be disabled: at the start, or if it is disabled already. One that works isn't
/// replaced by one that is disabled, because then a bad file would do more harm than none.
fn allows_disabling(previous: Option<&PluginSet>, name: &str) -> bool {
    let Some(previous) = previous else { return true };
    let known = previous.0.get(name);
    known.is_some_and(|known| known.plugin.why_disabled().is_some())
}

/// Why a plugin isn't built.
enum Unloaded {
    /// Its component isn't of the required origin, or says itself that it doesn't work.
    Unfit(ConfigError),
    /// It has these mistakes.
    Wrong(Vec<ConfigError>),
}

impl Unloaded {
    fn into_errors(self) -> Vec<ConfigError> {
        match self {
            Self::Unfit(error) => vec![error],
            Self::Wrong(errors) => errors,
        }
    }
}

async fn keep_or_build(
    config: &PluginConfig,
    component: Result<LoadedComponent, Unusable<ConfigError>>,
    inputs: Inputs<'_>,
) -> Result<LoadedPlugin, Unloaded> {
    let LoadedComponent { component, signer } = component.map_err(|why| match why {
        Unusable::Untrusted(error) => Unloaded::Unfit(error),
        Unusable::Broken(error) => Unloaded::Wrong(vec![error]),
    })?;
    let made_of = Ingredients::of(config, inputs.digests);
    let known = inputs.previous.and_then(|previous| previous.0.get(&config.name));
    let known = known.filter(|known| {
        let own = known.plugin.component().map(Component::digest);
        known.made_of == made_of && known.plugin.role() == config.role && own == Some(component.digest())
    });
    let (plugin, rotating) = match known {
        Some(known) => (known.plugin.clone(), known.rotating.clone()),
        None => {
            let built = build(config, inputs.negotiators, &component).await;
            let built = built.map_err(Unloaded::Wrong)?;
            let tested = self_test::run(config, &component).await;
            tested.map_err(|why| Unloaded::Unfit(config.error(&why)))?;
            (built, config.rotating.clone())
        }
    };
    Ok(LoadedPlugin {
        plugin,
        is_remote: config.plugin.is_remote(),
        // The same component may have another signature than before.
        signer,
        is_dropped_in: config.is_dropped_in,
        rotating,
        made_of,
    })
}

fn disabled(config: &PluginConfig, digests: &Digests, why: &ConfigError) -> LoadedPlugin {
    LoadedPlugin {
        plugin: build::disabled(config, why),
        is_remote: config.plugin.is_remote(),
        signer: None,
        is_dropped_in: config.is_dropped_in,
        rotating: Vec::new(),
        made_of: Ingredients::of(config, digests),
    }
}
