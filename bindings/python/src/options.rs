//! The options of an engine, and whether a running one has those that a server asks for.

use std::path::Path;
use std::path::PathBuf;

use portcullis_loader::Environment;
use portcullis_loader::config::RegistriesConfig;
use portcullis_loader::config::error::ConfigError;
use portcullis_loader::config::error::Location;
use portcullis_loader::config::registries_of_json;
use portcullis_loader::config::store_below;
use pyo3::Bound;
use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;
use serde_json::Map;
use serde_json::Value;

use crate::config;
use crate::errors;

/// The options of an engine. `None` for the default of each.
pub(crate) struct Options {
    pub(crate) sources: Sources,
    pub(crate) registries: RegistriesConfig,
    pub(crate) memory: Option<usize>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) threads: Option<usize>,
    pub(crate) metrics: Option<Py<PyAny>>,
}

/// Where components come from and are kept, which the configuration of a server may say as well.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    pub(crate) cache_directory: Option<PathBuf>,
    pub(crate) lock_file: Option<PathBuf>,
    store_directory: Option<PathBuf>,
    /// As they were given.
    registries: Value,
}

impl Default for Options {
    /// Credentials for registries are those that `docker login` stored.
    fn default() -> Self {
        Self {
            sources: Sources::default(),
            registries: RegistriesConfig::read(None, &Environment::of_process()),
            memory: None,
            concurrency: None,
            threads: None,
            metrics: None,
        }
    }
}

impl Options {
    /// Reads `registries`, which stand at `place`. All other options have their defaults.
    pub(crate) fn with_sources(
        py: Python<'_>,
        place: &str,
        cache_directory: Option<PathBuf>,
        registries: Option<&Bound<'_, PyDict>>,
        store_directory: Option<PathBuf>,
        lock_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let given = PyDict::new(py);
        given.set_item("registries", registries)?;
        let (mut keys, mut mistakes) = config::keys("engine", Some(&given));
        let given = keys.remove("registries").unwrap_or_else(|| Map::new().into());
        let read = registries_of_json(&given, &Environment::of_process());
        let registries = read.map_err(|more| mistakes.extend(more)).unwrap_or_default();
        if !mistakes.is_empty() {
            return Err(errors::configuration(py, Some(place), &mistakes));
        }
        let sources = Sources {
            cache_directory,
            lock_file,
            store_directory,
            registries: given,
        };
        Ok(Self {
            sources,
            registries,
            ..Self::default()
        })
    }
}

impl Sources {
    /// Where components from registries are kept.
    pub(crate) fn store_directory(&self) -> Option<PathBuf> {
        let below_cache = || self.cache_directory.as_deref().map(store_below);
        self.store_directory.clone().or_else(below_cache)
    }

    /// What is set here and differs in a running engine. What isn't set may have any value there.
    pub(crate) fn contradictions(&self, running: &Self) -> Vec<ConfigError> {
        let engine = Location::file("engine".to_owned());
        let paths = [
            (
                "cache_directory",
                &self.cache_directory,
                running.cache_directory.clone(),
            ),
            ("store_directory", &self.store_directory, running.store_directory()),
            ("lock_file", &self.lock_file, running.lock_file.clone()),
        ];
        let paths = paths.into_iter().filter_map(|(key, asked, has)| {
            let asked = asked.as_deref()?;
            if has.as_deref().map(absolute) == Some(absolute(asked)) {
                return None;
            }
            let has = has.map_or_else(|| "without one".to_owned(), |has| format!("with {has:?}"));
            let message = format!(
                "is {asked:?}, but the engine of this process was started before, {has}: leave the key out, or set it there"
            );
            Some(engine.key(key).error(message))
        });
        let are_set = self.registries.as_object().is_some_and(|hosts| !hosts.is_empty());
        let registries = (are_set && self.registries != running.registries).then(|| {
            let message = "differ from those of the engine of this process, which was started before: leave the key out, or set it there";
            engine.key("registries").error(message.to_owned())
        });
        paths.chain(registries).collect()
    }
}

/// The path from the root, for the folder in which the process is now.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
