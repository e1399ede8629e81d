//! `Engine`: the one of a process, as Python sees it.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::Bound;
use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyDict;

use crate::host::Host;
use crate::options::Options;

/// Compiles components and runs them. A process has one.
///
/// It ends with the interpreter. It doesn't work in a process that is forked later: start it after the fork.
///
/// cache_directory: where compiled components are kept, which makes later starts faster. It is created if it doesn't
///     exist, and must not be writable for other users. Default: none are kept.
/// memory: the most memory of all plugins together, in bytes. Default: no bound but that of each plugin.
/// concurrency: the most calls of plugins at the same time. Default: 256.
/// registries: how registries of plugins are reached, by their hosts: `{"registry.example": {"ca": "ca.pem"}}`, with the keys of
///     `[registries."HOST"]` of the gateway. Default: over https, with the credentials that `docker login` stored.
/// store_directory: where components from registries are kept, so that the next start needs no registry. Default: `registry`
///     in `cache_directory`; without either, they are pulled at each start.
/// lock_file: the file that says which version of a plugin a tag stands for. It is written when a tag is first used. Without
///     it, a plugin in a registry is named by its digest.
/// threads: the threads that run plugins. Default: as many as there are processors.
/// metrics: a function that is called, on a thread of its own, as `metrics(name, kind, labels, value)`. `kind` is
///     "counter" with what was added since the last time, "gauge" with its value, or "histogram" with one sample.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Engine(pub(crate) Arc<Host>);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (
        *, cache_directory=None, memory=None, concurrency=None, threads=None, registries=None, store_directory=None,
        lock_file=None, metrics=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        cache_directory: Option<PathBuf>,
        memory: Option<usize>,
        concurrency: Option<NonZero<u32>>,
        threads: Option<NonZero<usize>>,
        registries: Option<&Bound<'_, PyDict>>,
        store_directory: Option<PathBuf>,
        lock_file: Option<PathBuf>,
        metrics: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let read = Options::with_sources(py, "Engine", cache_directory, registries, store_directory, lock_file)?;
        let options = Options {
            memory,
            concurrency: concurrency.map(NonZero::get),
            threads: threads.map(NonZero::get),
            metrics,
            ..read
        };
        Host::start(py, options).map(Self)
    }

    /// For servers that have a configuration of their own, in which these keys stand at `place`. If this process has an engine, it
    /// is that one, unless a key contradicts it. Its metrics go to `metrics` if they go nowhere else.
    #[staticmethod]
    #[pyo3(signature = (
        place, *, cache_directory=None, registries=None, store_directory=None, lock_file=None, metrics=None
    ))]
    fn _at(
        py: Python<'_>,
        place: &str,
        cache_directory: Option<PathBuf>,
        registries: Option<&Bound<'_, PyDict>>,
        store_directory: Option<PathBuf>,
        lock_file: Option<PathBuf>,
        metrics: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let read = Options::with_sources(py, place, cache_directory, registries, store_directory, lock_file)?;
        Host::shared(py, place, Options { metrics, ..read }).map(Self)
    }

    /// The engine of this process. It is started with its defaults if there is none yet.
    #[staticmethod]
    fn current(py: Python<'_>) -> PyResult<Self> {
        Host::current(py).map(Self)
    }

    /// Ends the engine. Calls that wait for a decision raise `ClosedError`, and futures of asyncio are not settled any more.
    /// The interpreter does so itself when it ends. Another engine can't be started in this process. A function that the engine calls,
    /// such as the handler of a log, can't close it, and gets an `EngineError`.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.close(py)
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.0.is_closed()
    }

    fn __repr__(&self) -> &'static str {
        match (self.0.is_foreign(), self.0.is_closed()) {
            (true, _) => "<Engine of another process>",
            (_, true) => "<Engine, closed>",
            _ => "<Engine>",
        }
    }
}
