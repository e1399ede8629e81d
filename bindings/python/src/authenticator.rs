//! `Authenticator`: a component with settings, grants and limits.

use portcullis_loader::PluginWarning;
use portcullis_loader::build_alone;
use portcullis_loader::config::error::unknown;
use portcullis_loader::config::rotation::SecretWatch;
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

use crate::component::Component;
use crate::component::Source;
use crate::config;
use crate::errors;
use crate::host::Hosted;

/// A configured plugin. Settings are checked here, first against the plugin's schema and then by the plugin itself.
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
/// log: the least severe level of the plugin's log lines: "error", "warn", "info", "debug" or "trace". Default: Python's
///     `logging` decides.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Authenticator {
    pub(crate) inner: Hosted<portcullis::Authenticator>,
    warnings: Vec<String>,
    /// Takes up new secrets in files, as long as it lives.
    _secrets: Hosted<SecretWatch>,
}

#[pymethods]
impl Authenticator {
    #[new]
    #[pyo3(signature = (name, plugin, **keys))]
    fn new(py: Python<'_>, name: &str, plugin: &Bound<'_, PyAny>, keys: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Self::configure(py, None, name, plugin, keys)
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
        Self::configure(py, Some(place), name, plugin, Some(keys))
    }

    /// Its name.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.peek().map(portcullis::Authenticator::name)
    }

    /// What its settings need and its grants and limits don't allow, and what it is granted and never asks for.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// Forgets the decisions that are kept for later requests, for example because a user was locked out.
    fn forget_decisions(&self) -> PyResult<()> {
        self.inner.get().map(portcullis::Authenticator::forget_decisions)
    }

    fn __repr__(&self) -> String {
        format!("<Authenticator {:?}>", self.name().unwrap_or_default())
    }
}

impl Authenticator {
    fn configure(
        py: Python<'_>,
        place: Option<&str>,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        keys: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let (keys, mistakes) = config::keys(name, keys);
        let given = plugin.extract::<PyRef<'_, Component>>().ok();
        let source = match &given {
            Some(component) => Source::Compiled(component.source.clone()),
            None => Source::of(plugin)?,
        };
        let config = source.config(py, place, name, keys, mistakes)?;
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
        let built = {
            let _waiting = host.wait();
            py.detach(|| host.runtime.block_on(build_alone(&config, inner)))
        };
        let (authenticator, warnings) = built.map_err(|errors| errors::configuration(py, place, &errors))?;
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
            warnings: warnings.into_iter().map(text).collect(),
            inner: Hosted::new(host, authenticator),
            _secrets: Hosted::new(host, secrets),
        })
    }
}

/// The message for an unknown key, with the nearest known one.
#[pyfunction]
#[pyo3(name = "_unknown_key")]
pub(crate) fn unknown_key(key: &str, known: Vec<String>) -> String {
    unknown("key", key, known.iter().map(String::as_str))
}
