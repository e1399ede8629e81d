//! `Authenticator`: a component with settings, grants and limits.

use std::sync::Arc;

use portcullis_loader::PluginWarning;
use portcullis_loader::build_alone;
use portcullis_loader::cases::Play;
use portcullis_loader::config::error::ConfigError;
use portcullis_loader::config::error::unknown;
use portcullis_loader::config::rotation::SecretWatch;
use portcullis_loader::run_self_test;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyRef;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyclass;
use pyo3::pyfunction;
use pyo3::pymethods;
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
use crate::host::Hosted;
use crate::negotiators;

/// A configured plugin. Settings are checked here, first against the plugin's schema and then by the plugin itself, and the
/// component's own self-test is asked if it has one.
///
/// name: what logs, metrics and decisions call it.
/// plugin: a `Component`, or what makes one: the name of a built-in plugin, a path, bytes.
///
/// All others have the names and the rules of the keys in `[authenticators.NAME]` of the gateway, and tables are dicts:
///
/// settings: what only the plugin understands. A text `env:NAME` or `file:PATH` stands for the content of a variable or file.
/// grants: what it may see and reach. Default: the Authorization header alone.
/// limits: what its calls may cost. Each has a default.
/// sha256: the SHA-256 that the component must have, as hex digits. Default: any.
/// trust: the keys of which one must have signed the file. Default: it needs no signature.
/// instances: which instances are kept for later requests. Default: none.
/// http_ca, http_certificate, http_key: files for its requests to other servers: whom it trusts, and who it is.
/// http_headers: headers for these requests, with secrets that the plugin never sees.
/// http_refresh_floor: the shortest time between two forced refreshes of a stored response. Default: "5s".
/// negotiate: what checks Kerberos tokens: a dict for each name in `grants.negotiate`, with the keys of `[negotiate.NAME]`.
/// log: the least severe level of the plugin's log lines: "error", "warn", "info", "debug" or "trace". Default: Python's
///     `logging` decides.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Authenticator {
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
    inner: Hosted<portcullis::Authenticator>,
    warnings: Vec<String>,
    /// Takes up new secrets in files, as long as it lives.
    _secrets: Hosted<SecretWatch>,
}

#[pymethods]
impl Authenticator {
    #[new]
    #[pyo3(signature = (name, plugin, **keys))]
    fn new(py: Python<'_>, name: &str, plugin: &Bound<'_, PyAny>, keys: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Self::configure(py, None, name, plugin, keys, None)
    }

    /// For servers that have a configuration of their own: mistakes are told with the place of the keys there.
    #[staticmethod]
    fn _at(
        py: Python<'_>,
        place: &str,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        Self::configure(py, Some(place), name, plugin, Some(keys), None)
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// What its settings need and its grants and limits don't allow, and what it is granted and never asks for.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.warnings.clone(),
            Kind::OfDirectory(followed) => {
                let followed = followed.peek();
                let own = followed.map(|followed| followed.warnings(|name| name == self.name));
                own.unwrap_or_default()
            }
        }
    }

    /// Forgets the decisions that are kept for later requests, for example because a user was locked out.
    fn forget_decisions(&self) -> PyResult<()> {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.inner.get()?.forget_decisions(),
            Kind::OfDirectory(followed) => {
                let set = followed.get()?.current.load();
                set.authenticator(&self.name)
                    .into_iter()
                    .for_each(|one| one.forget_decisions());
            }
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("<Authenticator {:?}>", self.name)
    }
}

impl Authenticator {
    /// The newest of this name in a plugin directory that has it.
    pub(crate) fn of_directory(followed: &Arc<Hosted<Followed>>, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::OfDirectory(Arc::clone(followed)),
        }
    }

    /// Its name.
    pub(crate) fn own_name(&self) -> &str {
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

    /// Loads and configures a plugin. `play` are servers to which its requests go instead of the network.
    pub(crate) fn configure(
        py: Python<'_>,
        place: Option<&str>,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        keys: Option<&Bound<'_, PyDict>>,
        play: Option<&Arc<Play>>,
    ) -> PyResult<Self> {
        let (mut keys, mistakes) = config::keys(name, keys);
        let negotiate = keys.remove("negotiate");
        let given = plugin.extract::<PyRef<'_, Component>>().ok();
        let source = match &given {
            Some(component) => Source::Compiled(component.source.clone()),
            None => Source::of(plugin)?,
        };
        let acceptors = Vec::from_iter(negotiate.iter().filter_map(Value::as_object).flat_map(Map::keys));
        let acceptors = Vec::from_iter(acceptors.into_iter().map(String::as_str));
        let mut config = source.config(py, place, name, keys, mistakes, &acceptors)?;
        config.outbound = Play::applied(play, &config.outbound);
        let loaded;
        let component = match &given {
            Some(component) => component.pinned(config.sha256.as_ref())?,
            None => {
                loaded = Component::load(py, source, &config)?;
                &loaded
            }
        };
        let (host, inner) = (&component.inner.host, component.inner.get()?);
        host.bridge.refresh_levels(py);
        let negotiators = negotiators::start(py, host, place, &format!("authenticator {name:?}"), negotiate.as_ref())?;
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
        let Some(authenticator) = plugin.authenticator().cloned() else {
            return Err(unusable(&config.plugin, "it is no authenticator"));
        };
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
                inner: Hosted::new(host, authenticator),
                _secrets: Hosted::new(host, secrets),
            }),
        })
    }
}

/// Why an authenticator isn't there.
enum Unbuilt {
    /// Its settings have these mistakes.
    Configuration(Vec<ConfigError>),
    /// Its component says itself that it doesn't work.
    SelfTest(String),
}

/// The message for an unknown key, with the nearest known one.
#[pyfunction]
#[pyo3(name = "_unknown_key")]
pub(crate) fn unknown_key(key: &str, known: Vec<String>) -> String {
    unknown("key", key, known.iter().map(String::as_str))
}
