//! Finds the component of every authenticator and authorizer: built into the program, in a file, or in a registry. The tag of a registry is
//! pinned once its component was compiled.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Engine;
use portcullis_loader::PluginSet;
use portcullis_loader::component;
use portcullis_loader::component::ComponentFile;
use portcullis_loader::component::LoadedComponent;
use portcullis_loader::component::Unusable;
use portcullis_loader::lock::Pin;
use portcullis_loader::remote::Fetched;
use portcullis_loader::remote::Pinning;
use portcullis_loader::remote::Remote;
use portcullis_loader::remote::Wanted;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::Reference;

use crate::config::ConfigError;
use crate::config::PluginConfig;
use crate::config::PluginSource;
use crate::config::unknown;
use crate::generation::Warning;

/// The components of all plugins, in the order of these.
#[derive(Default)]
pub(super) struct Components {
    pub(super) loaded: Vec<Result<LoadedComponent, Unusable<ConfigError>>>,
    /// Tags that have no pin, and get none because the configuration is only looked at.
    pub(super) warnings: Vec<Warning>,
}

/// Loads the component of each plugin. A component that the previous generation has isn't compiled again.
pub(super) async fn load(
    plugins: &[PluginConfig],
    remote: &Remote,
    engine: &Engine,
    previous: Option<&PluginSet>,
) -> Components {
    let sources = HashSet::<Source>::from_iter(plugins.iter().map(Source::of));
    let wanted = sources.iter().filter_map(Source::wanted).collect();
    let local = sources.into_iter().filter(|source| source.wanted().is_none());
    let local = component::read_all(local.collect(), Source::read);
    let (mut files, fetched) = tokio::join!(local, remote.fetch(wanted));
    let mut new_pins = HashMap::new();
    for ((reference, trust), fetched) in fetched {
        let file = fetched.map(
            |Fetched {
                 wasm, signer, new_pin, ..
             }| {
                new_pins.extend(new_pin.map(|pin| (reference.clone(), pin)));
                ComponentFile::new(wasm, signer)
            },
        );
        files.insert(Source::Registry(reference, trust), file.map_err(Unusable::Untrusted));
    }
    let found = plugins.iter().map(|plugin| {
        let found = files.get(&Source::of(plugin)).cloned();
        found.unwrap_or_else(|| Err("the component wasn't read".to_owned().into()))
    });
    let known = previous.map(PluginSet::components).unwrap_or_default();
    let compiled = component::compile(plugins, found.collect(), engine, &known).await;
    pin(plugins, compiled, remote, &new_pins).await
}

/// Pins the tags whose components can be used.
async fn pin(
    plugins: &[PluginConfig],
    mut loaded: Vec<Result<LoadedComponent, Unusable<ConfigError>>>,
    remote: &Remote,
    new_pins: &HashMap<Reference, Pin>,
) -> Components {
    let new_pin = |config: &PluginConfig| match &config.plugin {
        PluginSource::Registry(reference) => new_pins.get(reference).map(|pin| (reference.clone(), *pin)),
        PluginSource::BuiltIn(_) | PluginSource::File(_) => None,
    };
    let usable = plugins.iter().zip(&loaded).filter(|(_, loaded)| loaded.is_ok());
    let pinning = remote
        .pin(usable.filter_map(|(config, _)| new_pin(config)).collect())
        .await;
    let mut warnings = Vec::new();
    for (config, component) in plugins.iter().zip(&mut loaded) {
        let Some((reference, pin)) = new_pin(config).filter(|_| component.is_ok()) else {
            continue;
        };
        match &pinning {
            Ok(Pinning::Written) => {}
            Ok(Pinning::Left) => warnings.push(Warning::Unpinned {
                authenticator: config.name.clone(),
                error: config.location.error(format!(
                    "{reference} has no pin in portcullis.lock yet; `serve` pins it to the version that it finds, now {}",
                    pin.manifest
                )),
            }),
            Err(why) => *component = Err(Unusable::Untrusted(config.error(why))),
        }
    }
    Components { loaded, warnings }
}

/// Where a component comes from, and whose signature it needs.
#[derive(Clone, Eq, Hash, PartialEq)]
enum Source {
    /// The built-in plugin with this name. It is a part of the program, and as trusted.
    BuiltIn(String),
    /// A file, and the keys of which one must have signed it. `None` if it needs no signature.
    File(PathBuf, Option<Arc<TrustedKeys>>),
    /// A component in a registry, and the keys of which one must have signed it.
    Registry(Reference, Option<Arc<TrustedKeys>>),
}

impl Source {
    fn of(authenticator: &PluginConfig) -> Self {
        match &authenticator.plugin {
            PluginSource::BuiltIn(name) => Self::BuiltIn(name.clone()),
            PluginSource::File(path) => Self::File(path.clone(), authenticator.trust.clone()),
            PluginSource::Registry(reference) => Self::Registry(reference.clone(), authenticator.trust.clone()),
        }
    }

    /// What a registry is asked for. `None` if none is asked.
    fn wanted(&self) -> Option<Wanted> {
        match self {
            Self::Registry(reference, trust) => Some((reference.clone(), trust.clone())),
            Self::BuiltIn(_) | Self::File(..) => None,
        }
    }

    fn read(&self) -> Result<ComponentFile, Unusable<String>> {
        match self {
            Self::BuiltIn(name) => Ok(ComponentFile::new(built_in(name)?, None)),
            Self::File(path, trust) => ComponentFile::read(path, trust.as_deref()),
            Self::Registry(reference, _) => Err(format!("{reference} is no file").into()),
        }
    }
}

fn built_in(name: &str) -> Result<&'static [u8], String> {
    portcullis_plugins::find(name).ok_or_else(|| not_built_in(name, portcullis_plugins::LEFT_OUT))
}

/// Says what is wrong with the name of a built-in plugin that this build doesn't have, or how to get one of those that it was
/// made without.
fn not_built_in(name: &str, left_out: &[&str]) -> String {
    if left_out.contains(&name) {
        return format!(
            "this build has no {name}: packages have it, and a build of your own with `cargo build --release --features {name}`, \
             which takes some minutes more"
        );
    }
    let known = portcullis_plugins::NAMES.iter().copied();
    let message = unknown("built-in plugin", name, known);
    format!("{message} (the path of a file must end in .wasm or contain a slash)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_a_build_was_made_without_is_told_with_the_feature_that_has_it() {
        let told = not_built_in("cedar", &["cedar"]);
        assert!(
            told.starts_with("this build has no cedar: ") && told.contains("`cargo build --release --features cedar`"),
            "{told}"
        );
        let manifest = include_str!("../../Cargo.toml");
        assert!(
            manifest.lines().any(|line| line.starts_with("cedar = [")),
            "the feature exists"
        );
        for left_out in [&[][..], &["cedar"]] {
            let told = not_built_in("cedr", left_out);
            assert!(told.starts_with("unknown built-in plugin"), "{told}");
        }
        let known = portcullis_plugins::NAMES.iter().copied();
        let all = Vec::from_iter(known.chain(portcullis_plugins::LEFT_OUT.iter().copied()));
        assert!(all.contains(&"cedar"), "it is either built in or left out: {all:?}");
    }
}
