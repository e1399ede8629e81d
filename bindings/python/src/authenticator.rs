//! `Authenticator`: a component with settings, grants and limits.

use std::sync::Arc;

use portcullis::Role;
use portcullis_loader::cases::Play;
use portcullis_loader::config::error::unknown;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyclass;
use pyo3::pyfunction;
use pyo3::pymethods;
use pyo3::types::PyDict;

use crate::plugin::ConfiguredPlugin;
use crate::plugin::Given;

/// A plugin that says who sent a request. Settings are checked here, first against the plugin's schema and then by the plugin
/// itself, and the component's own self-test is asked if it has one.
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
pub(crate) struct Authenticator(pub(crate) ConfiguredPlugin);

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
        self.0.name()
    }

    /// What its settings need and its grants and limits don't allow, and what it is granted and never asks for.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }

    /// Forgets the decisions that are kept for later requests, for example because a user was locked out.
    fn forget_decisions(&self) -> PyResult<()> {
        self.0.forget_decisions()
    }

    fn __repr__(&self) -> String {
        format!("<Authenticator {:?}>", self.0.name())
    }
}

impl Authenticator {
    /// Loads and configures a plugin. `play` are servers to which its requests go instead of the network.
    pub(crate) fn configure(
        py: Python<'_>,
        place: Option<&str>,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        keys: Option<&Bound<'_, PyDict>>,
        play: Option<&Arc<Play>>,
    ) -> PyResult<Self> {
        let given = Given {
            place,
            role: Role::Authenticator,
            name,
            plugin,
            keys,
            play,
        };
        ConfiguredPlugin::configure(py, given).map(Self)
    }
}

/// The message for an unknown key, with the nearest known one.
#[pyfunction]
#[pyo3(name = "_unknown_key")]
pub(crate) fn unknown_key(key: &str, known: Vec<String>) -> String {
    unknown("key", key, known.iter().map(String::as_str))
}
