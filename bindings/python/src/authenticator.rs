//! `Authenticator`: a component with settings, grants and limits.

use portcullis::ConfigureError;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyErr;
use pyo3::PyRef;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyAnyMethods;

use crate::component::Component;
use crate::config;
use crate::config::Config;
use crate::errors;
use crate::host::Hosted;

/// A configured plugin. Settings are checked here, first against the plugin's schema and then by the plugin itself.
///
/// name: what logs, metrics and decisions call it.
/// plugin: a `Component`, or what makes one: the name of a built-in plugin, a path, bytes.
/// settings: a dict that only the plugin understands.
/// grants: what it may see and reach, a dict with the keys headers, cookies, query, http, private, client_certificate.
///     Default: the Authorization header alone.
/// limits: what its calls may cost, a dict with the keys deadline, memory, concurrency, cache, rate, breaker,
///     reuse_decisions. Each has a default.
/// log: the least severe level of the plugin's log lines: "error", "warn", "info", "debug" or "trace". Default: Python's
///     `logging` decides.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Authenticator {
    pub(crate) inner: Hosted<portcullis::Authenticator>,
}

const LEVELS: [(&str, tracing::Level); 5] = [
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

#[pymethods]
impl Authenticator {
    #[new]
    #[pyo3(signature = (name, plugin, *, settings=None, grants=None, limits=None, log=None))]
    fn new(
        py: Python<'_>,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        settings: Option<&Bound<'_, PyAny>>,
        grants: Option<&Bound<'_, PyAny>>,
        limits: Option<&Bound<'_, PyAny>>,
        log: Option<&str>,
    ) -> PyResult<Self> {
        let level = log.map(|log| {
            let known = LEVELS.iter().find(|(known, _)| *known == log);
            known.map(|(_, level)| *level).ok_or_else(|| {
                PyValueError::new_err("log must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\"")
            })
        });
        let level = level.transpose()?;
        let config = Config::read(py, name, settings, grants, limits)?;
        match plugin.extract::<PyRef<'_, Component>>() {
            Ok(component) => Self::configure(py, name, &component.inner, config, level),
            Err(_) => Self::configure(py, name, &Component::new(py, plugin, None)?.inner, config, level),
        }
    }

    /// Its name.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.inner.peek().map(portcullis::Authenticator::name)
    }

    /// What its settings need and its grants and limits don't allow, and what it is granted and never asks for.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.inner.peek().map(warnings).unwrap_or_default()
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
        name: &str,
        component: &Hosted<portcullis::Component>,
        config: Config,
        level: Option<tracing::Level>,
    ) -> PyResult<Self> {
        let host = &component.host;
        let mut builder = portcullis::Authenticator::builder(name, component.get()?)
            .settings(config.settings)
            .grants(config.grants)
            .limits(config.limits);
        if let Some(level) = level {
            builder = builder.log_level(level);
        }
        host.bridge.refresh_levels(py);
        let built = {
            let _waiting = host.wait();
            py.detach(|| host.runtime.block_on(builder.build()))
        };
        let authenticator = built.map_err(|error| exception(py, name, error))?;
        for warning in warnings(&authenticator) {
            tracing::warn!(authenticator = name, "{warning}");
        }
        Ok(Self {
            inner: Hosted::new(host, authenticator),
        })
    }
}

fn warnings(authenticator: &portcullis::Authenticator) -> Vec<String> {
    let warnings = authenticator.warnings().iter();
    let text = warnings.map(|warning| match &warning.setting {
        Some(path) => config::setting_message(path, &warning.message),
        None => warning.message.clone(),
    });
    text.collect()
}

fn exception(py: Python<'_>, name: &str, error: ConfigureError) -> PyErr {
    let mistakes = match error {
        ConfigureError::Settings(mistakes) => mistakes.iter().map(config::setting_mistake).collect(),
        ConfigureError::Rejected(why) => vec![config::setting_message(&[], &why)],
        error => vec![error.to_string()],
    };
    errors::configuration(py, name, mistakes)
}
