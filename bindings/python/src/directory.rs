//! `PluginDirectory`: a folder of plugins, whose new versions are taken up while the server runs.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis::Role;
use portcullis_loader::Environment;
use portcullis_loader::config::error::unknown;
use portcullis_loader::config::trust_of_json;
use pyo3::Bound;
use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyKeyError;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;

use crate::authenticator::Authenticator;
use crate::authorizer::Authorizer;
use crate::config;
use crate::errors;
use crate::followed::Followed;
use crate::host::Host;
use crate::hosted::Hosted;
use crate::negotiators;
use crate::plugin::ConfiguredPlugin;

/// A folder of plugins: `NAME.wasm` for each, and `NAME.toml` beside it with its settings, grants and limits, as in the gateway.
///
/// The folder is read again when its files change, by the same code as the gateway's. What has changed is taken up at once by
/// the chains that ask it. A version that can't be loaded, has mistakes in its settings or fails its own self-test is logged as
/// an error, and then everything stays as it was; so does a plugin that a chain asks and whose file is removed.
///
/// `directory["NAME"]` is the `Authenticator` or `Authorizer` of that name.
///
/// path: the folder. It must belong to root or to the user of this process, and not be writable for every user.
/// trust: the keys of which one must have signed each file. Default: they need no signature.
/// negotiate: what checks Kerberos tokens for them: a dict for each name in `grants.negotiate`, as `Authenticator` has it.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct PluginDirectory {
    followed: Arc<Hosted<Followed>>,
    path: PathBuf,
}

#[pymethods]
impl PluginDirectory {
    #[new]
    #[pyo3(signature = (path, *, trust=None, negotiate=None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        trust: Option<&Bound<'_, PyAny>>,
        negotiate: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Self::_at(py, "PluginDirectory", path, trust, negotiate)
    }

    /// For servers that have a configuration of their own: mistakes are told with the place of the keys there.
    #[staticmethod]
    fn _at(
        py: Python<'_>,
        place: &str,
        path: PathBuf,
        trust: Option<&Bound<'_, PyAny>>,
        negotiate: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let given = PyDict::new(py);
        given.set_item("trust", trust)?;
        given.set_item("negotiate", negotiate)?;
        let (keys, mistakes) = config::keys("plugins", Some(&given));
        if !mistakes.is_empty() {
            return Err(errors::configuration(py, Some(place), &mistakes));
        }
        let trust = keys
            .get("trust")
            .map(|keys| trust_of_json(keys, &Environment::of_process()));
        let trust = trust
            .transpose()
            .map_err(|mistakes| errors::configuration(py, Some(place), &mistakes))?;
        let host = Host::current(py)?;
        host.check()?;
        host.bridge.refresh_levels(py);
        let negotiators = negotiators::start(py, &host, Some(place), "plugins", keys.get("negotiate"))?;
        let mut directory = portcullis_loader::PluginDirectory::new(&path, &host.engine).negotiators(negotiators);
        if let Some(trust) = trust {
            directory = directory.trust(Arc::unwrap_or_clone(trust));
        }
        let opened = {
            let _waiting = host.wait();
            py.detach(|| Followed::open(&host, directory, &path))
        };
        let followed = opened.map_err(|errors| errors::of_files(py, &errors))?;
        Ok(Self {
            followed: Arc::new(Hosted::new(&host, followed)),
            path,
        })
    }

    /// The authenticator or authorizer of this name. It is always the newest version that works.
    ///
    /// From now on, the folder has to have this plugin in this role: what chains ask isn't removed.
    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let current = &self.followed.get()?.current;
        let plugin = || ConfiguredPlugin::of_directory(&self.followed, name);
        match current.require(name) {
            Some(Role::Authorizer) => return Ok(Py::new(py, Authorizer(plugin()))?.into_any()),
            Some(_) => return Ok(Py::new(py, Authenticator(plugin()))?.into_any()),
            None => {}
        }
        let set = current.load();
        let known = set.iter().map(|loaded| loaded.plugin.name());
        Err(PyKeyError::new_err(format!(
            "{name}: {}",
            unknown("plugin", name, known)
        )))
    }

    /// The names of the authenticators that are there at the moment, sorted.
    #[getter]
    fn authenticators(&self) -> PyResult<Vec<String>> {
        self.named(Role::Authenticator)
    }

    /// The names of the authorizers that are there at the moment, sorted.
    #[getter]
    fn authorizers(&self) -> PyResult<Vec<String>> {
        self.named(Role::Authorizer)
    }

    /// What is allowed at the moment but may not be meant, and which plugins are disabled, with their files and keys.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        let followed = self.followed.peek();
        followed.map(|followed| followed.warnings(|_| true)).unwrap_or_default()
    }

    fn __repr__(&self) -> String {
        format!("<PluginDirectory {}>", self.path.display())
    }
}

impl PluginDirectory {
    fn named(&self, role: Role) -> PyResult<Vec<String>> {
        let set = self.followed.get()?.current.load();
        let plugins = set
            .iter()
            .map(|loaded| &loaded.plugin)
            .filter(|plugin| plugin.role() == role);
        Ok(plugins.map(|plugin| plugin.name().to_owned()).collect())
    }
}
