//! `Component`: a plugin that is compiled and not configured yet.

use std::path::PathBuf;

use portcullis::Digest;
use portcullis::Role;
use portcullis_loader::component::ComponentFile;
use portcullis_loader::component::Unusable;
use portcullis_loader::component::check_pin;
use portcullis_loader::config::document::Environment;
use portcullis_loader::config::error::ConfigError;
use portcullis_loader::config::plugin::PluginConfig;
use portcullis_loader::config::plugin::PluginSource;
use portcullis_registry::Version;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyErr;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pyfunction;
use pyo3::pymethods;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyBytes;
use pyo3::types::PyBytesMethods;
use pyo3::types::PyDict;
use serde_json::Map;
use serde_json::Value;

use crate::config;
use crate::errors;
use crate::errors::LoadError;
use crate::host::Host;
use crate::hosted::Hosted;

/// The names of the plugins that are built in.
#[pyfunction]
pub(crate) fn builtin_plugins() -> Vec<&'static str> {
    portcullis_plugins::NAMES.to_vec()
}

/// A compiled plugin. Authenticators or authorizers with different settings can share one.
///
/// Compiling takes up to some seconds, in which other threads of Python run. A file must belong to root or to the user of this
/// process, and not be writable for every user.
///
/// source: the name of a built-in plugin ("jwt"), the path of a file (a `pathlib.Path`, or a text that has a slash or ends
///     in ".wasm"), a reference to a registry ("oci://registry.example/team/badge@sha256:…"), or the bytes of a component.
/// sha256: the SHA-256 that the component must have, as hex digits. Default: any.
/// trust: the keys of which one must have signed it. The signature lies beside the file, or is in the registry. Default: it needs
///     none.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Component {
    pub(crate) inner: Hosted<portcullis::Component>,
    pub(crate) source: PluginSource,
}

#[pymethods]
impl Component {
    #[new]
    #[pyo3(signature = (source, *, sha256=None, trust=None))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        sha256: Option<&Bound<'_, PyAny>>,
        trust: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let given = PyDict::new(py);
        given.set_item("sha256", sha256)?;
        given.set_item("trust", trust)?;
        let keys = config::keys("component", Some(&given));
        let source = Source::of(source)?;
        let config = source.config(py, Some("Component"), Role::Authenticator, "component", keys, &[])?;
        Self::load(py, source, &config)
    }

    /// The SHA-256 of the component, as hex digits.
    #[getter]
    fn digest(&self) -> Option<String> {
        self.inner.peek().map(|component| component.digest().to_string())
    }

    /// The contract that it implements, such as "portcullis:auth@0.2.0".
    #[getter]
    fn contract(&self) -> Option<&str> {
        self.inner.peek().map(portcullis::Component::contract)
    }

    fn __repr__(&self) -> String {
        format!("<Component {}>", self.source)
    }
}

impl Component {
    /// Reads the component of a configuration, checks where it comes from, and compiles it.
    pub(crate) fn load(py: Python<'_>, source: Source, config: &PluginConfig) -> PyResult<Self> {
        let host = Host::current(py)?;
        host.check()?;
        let loaded = {
            let _waiting = host.wait();
            py.detach(|| source.compiled(config, &host))
        };
        let component = loaded.map_err(|why| unusable(&config.plugin, &why))?;
        Ok(Self {
            inner: Hosted::new(&host, component),
            source: config.plugin.clone(),
        })
    }

    /// The component, if it is the one that `sha256` requires.
    pub(crate) fn pinned(&self, sha256: Option<&Digest>) -> PyResult<&Self> {
        let checked = check_pin(sha256, self.inner.get()?.digest());
        checked.map(|()| self).map_err(|why| unusable(&self.source, &why))
    }
}

pub(crate) fn unusable(source: &PluginSource, why: &str) -> PyErr {
    LoadError::new_err(format!("{source}: {why}"))
}

/// What a program names or has as the plugin.
pub(crate) enum Source {
    /// The text of the key `plugin`.
    Named(String),
    /// The bytes of a component.
    Bytes(Vec<u8>),
    /// A component that is compiled already.
    Compiled(PluginSource),
}

impl Source {
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes().to_owned()));
        }
        if let Ok(text) = value.extract::<String>() {
            return Ok(Self::Named(text));
        }
        let path = value.extract::<PathBuf>()?;
        let Some(text) = path.to_str() else {
            return Err(PyValueError::new_err("the path of the plugin is not UTF-8"));
        };
        // A text without a slash can be the name of a built-in plugin, and a path never is.
        let is_bare = !text.contains('/');
        Ok(Self::Named(if is_bare { format!("./{text}") } else { text.to_owned() }))
    }

    /// Reads the keys of a plugin in this role, which has this component. With the keys come the mistakes that were found
    /// before, and `acceptors` are the names of those that it has.
    pub(crate) fn config(
        &self,
        py: Python<'_>,
        place: Option<&str>,
        role: Role,
        name: &str,
        (mut keys, mut mistakes): (Map<String, Value>, Vec<ConfigError>),
        acceptors: &[&str],
    ) -> PyResult<PluginConfig> {
        let given = match self {
            Self::Named(text) => {
                keys.insert("plugin".to_owned(), Value::from(text.as_str()));
                None
            }
            // No file has them; what stands for its name says so, as "<string>" does in messages of Python.
            Self::Bytes(bytes) => Some(PluginSource::File(format!("{} bytes", bytes.len()).into())),
            Self::Compiled(source) => Some(source.clone()),
        };
        let environment = Environment::of_process();
        match PluginConfig::of_json(name, role, &Value::Object(keys), given, acceptors, &environment) {
            Ok(config) if mistakes.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(more) => mistakes.extend(more),
        }
        Err(errors::configuration(py, place, &mistakes))
    }

    fn compiled(self, config: &PluginConfig, host: &Host) -> Result<portcullis::Component, String> {
        let PluginSource::Registry(reference) = &config.plugin else {
            return compiled(&self.file(config)?, config, host);
        };
        if matches!(reference.version(), Version::Tag(_)) && !host.remote.keeps_pins() {
            return Err(
                "names a tag, whose meaning can change: name the version by its digest, or start the engine with a lock_file, which \
                 keeps what the tag stood for when it was first used"
                    .to_owned(),
            );
        }
        host.runtime.block_on(async {
            let fetched = host.remote.fetch_alone(reference, config.trust.as_deref()).await?;
            let file = ComponentFile::new(fetched.wasm.clone(), fetched.signer.clone());
            let component = compiled(&file, config, host)?;
            // A tag is pinned to what can be used.
            host.remote.pin_alone(reference, &fetched).await?;
            Ok(component)
        })
    }

    fn file(self, config: &PluginConfig) -> Result<ComponentFile, String> {
        match (self, &config.plugin) {
            (Self::Bytes(bytes), _) => Ok(ComponentFile::new(bytes, None)),
            (_, PluginSource::File(path)) => {
                let read = ComponentFile::read(path, config.trust.as_deref());
                read.map_err(|(Unusable::Untrusted(why) | Unusable::Broken(why))| why)
            }
            (_, PluginSource::BuiltIn(name)) => {
                let found = portcullis_plugins::find(name).map(|wasm| ComponentFile::new(wasm, None));
                found.ok_or_else(|| format!("there is no such plugin; built in are {}", builtin_plugins().join(", ")))
            }
            (_, PluginSource::Registry(reference)) => Err(format!("{reference} is no file")),
        }
    }
}

/// Compiles a component, if it is the one that `sha256` requires.
fn compiled(file: &ComponentFile, config: &PluginConfig, host: &Host) -> Result<portcullis::Component, String> {
    check_pin(config.sha256.as_ref(), file.digest())?;
    file.compile(&host.engine)
}
