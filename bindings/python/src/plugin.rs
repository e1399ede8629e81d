//! A configured plugin, in whatever role: what `Authenticator` and `Authorizer` have in common.

use std::sync::Arc;

use portcullis::Role;
use portcullis_loader::AskedPlugin;
use portcullis_loader::PluginWarning;
use portcullis_loader::build_alone;
use portcullis_loader::cases::Play;
use portcullis_loader::config::error::ConfigError;
use portcullis_loader::config::rotation::SecretWatch;
use portcullis_loader::run_self_test;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyRef;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyDict;
use serde_json::Map;
use serde_json::Value;

use crate::component::Component;
use crate::component::Source;
use crate::component::unusable;
use crate::config;
use crate::errors;
use crate::followed::Followed;
use crate::gates::Member;
use crate::host::Host;
use crate::hosted::Hosted;
use crate::negotiators;

/// A plugin with settings, grants and limits.
pub(crate) struct ConfiguredPlugin {
    name: String,
    kind: Kind,
}

enum Kind {
    /// It stays as it is configured.
    Fixed(Fixed),
    /// The newest of its name in a plugin directory.
    OfDirectory(Arc<Hosted<Followed>>),
}

struct Fixed {
    inner: Hosted<AskedPlugin>,
    warnings: Vec<String>,
    /// Takes up new secrets in files, as long as it lives.
    _secrets: Hosted<SecretWatch>,
}

/// What a program says of a plugin.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a, 'py> {
    /// Where a server that has a configuration of its own has the keys. `None` if a program has them.
    pub(crate) place: Option<&'a str>,
    /// The role in which it is asked.
    pub(crate) role: Role,
    /// What logs, metrics and decisions call it.
    pub(crate) name: &'a str,
    /// A component, or what makes one.
    pub(crate) plugin: &'a Bound<'py, PyAny>,
    /// All other keys.
    pub(crate) keys: Option<&'a Bound<'py, PyDict>>,
    /// Servers to which its requests go instead of the network.
    pub(crate) play: Option<&'a Arc<Play>>,
}

impl ConfiguredPlugin {
    /// The newest of this name in a plugin directory that has it.
    pub(crate) fn of_directory(followed: &Arc<Hosted<Followed>>, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::OfDirectory(Arc::clone(followed)),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The host of its engine.
    pub(crate) fn host(&self) -> &Arc<Host> {
        match &self.kind {
            Kind::Fixed(fixed) => &fixed.inner.host,
            Kind::OfDirectory(followed) => &followed.host,
        }
    }

    /// It as a member of a chain.
    pub(crate) fn member(&self) -> PyResult<Member> {
        Ok(match &self.kind {
            Kind::Fixed(fixed) => Member::Fixed(fixed.inner.get()?.clone()),
            Kind::OfDirectory(followed) => Member::Named(followed.get()?.current.clone(), self.name.clone()),
        })
    }

    /// What its settings need and its grants and limits don't allow, and what it is granted and never asks for.
    pub(crate) fn warnings(&self) -> Vec<String> {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.warnings.clone(),
            Kind::OfDirectory(followed) => {
                let followed = followed.peek();
                let own = followed.map(|followed| followed.warnings(|name| name == self.name));
                own.unwrap_or_default()
            }
        }
    }

    /// Forgets the decisions that are kept for later requests.
    pub(crate) fn forget_decisions(&self) -> PyResult<()> {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.inner.get()?.forget_decisions(),
            Kind::OfDirectory(followed) => {
                let set = followed.get()?.current.load();
                set.get(&self.name)
                    .into_iter()
                    .for_each(|one| one.plugin.forget_decisions());
            }
        }
        Ok(())
    }

    /// Loads and configures a plugin.
    pub(crate) fn configure(py: Python<'_>, given: Given<'_, '_>) -> PyResult<Self> {
        let Given {
            place,
            role,
            name,
            plugin,
            keys,
            play,
        } = given;
        let (mut keys, mistakes) = config::keys(&format!("{role} {name:?}"), keys);
        let negotiate = keys.remove("negotiate");
        let compiled = plugin.extract::<PyRef<'_, Component>>().ok();
        let source = match &compiled {
            Some(component) => Source::Compiled(component.source.clone()),
            None => Source::of(plugin)?,
        };
        let acceptors = Vec::from_iter(negotiate.iter().filter_map(Value::as_object).flat_map(Map::keys));
        let acceptors = Vec::from_iter(acceptors.into_iter().map(String::as_str));
        let mut config = source.config(py, place, role, name, (keys, mistakes), &acceptors)?;
        config.outbound = Play::applied(play, &config.outbound);
        let loaded;
        let component = match &compiled {
            Some(component) => component.pinned(config.sha256.as_ref())?,
            None => {
                loaded = Component::load(py, source, &config)?;
                &loaded
            }
        };
        let (host, inner) = (&component.inner.host, component.inner.get()?);
        host.bridge.refresh_levels(py);
        let negotiators = negotiators::start(py, host, place, &format!("{role} {name:?}"), negotiate.as_ref())?;
        let built = {
            let _waiting = host.wait();
            py.detach(|| {
                host.runtime.block_on(async {
                    let built = build_alone(&config, &negotiators, inner).await;
                    let built = built.map_err(Unbuilt::Configuration)?;
                    run_self_test(&config, inner).await.map_err(Unbuilt::SelfTest)?;
                    Ok::<_, Unbuilt>(built)
                })
            })
        };
        let (plugin, warnings) = built.map_err(|why| match why {
            Unbuilt::Configuration(errors) => errors::configuration(py, place, &errors),
            Unbuilt::SelfTest(why) => unusable(&config.plugin, &why),
        })?;
        warnings.iter().for_each(PluginWarning::log);
        let mut secrets = SecretWatch::default();
        if !config.rotating.is_empty() {
            let _inside = host.runtime.enter();
            secrets.follow(config.rotating);
        }
        let text = |warning: PluginWarning| match warning {
            PluginWarning::Setting { warning: error, .. }
            | PluginWarning::Disabled { error, .. }
            | PluginWarning::Broken { error, .. } => error.below(""),
        };
        Ok(Self {
            name: config.name,
            kind: Kind::Fixed(Fixed {
                warnings: warnings.into_iter().map(text).collect(),
                inner: Hosted::new(host, plugin),
                _secrets: Hosted::new(host, secrets),
            }),
        })
    }
}

/// Why a plugin isn't there.
enum Unbuilt {
    /// Its settings have these mistakes.
    Configuration(Vec<ConfigError>),
    /// Its component says itself that it doesn't work.
    SelfTest(String),
}
