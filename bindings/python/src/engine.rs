//! `Engine`: the one of a process, as Python sees it.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyclass;
use pyo3::pymethods;

use crate::host::Host;
use crate::host::Options;

/// Compiles components and runs them. A process has one.
///
/// It ends with the interpreter. It doesn't work in a process that is forked later: start it after the fork.
///
/// cache_directory: where compiled components are kept, which makes later starts faster. It is created if it doesn't
///     exist, and must not be writable for other users. Default: none are kept.
/// memory: the most memory of all plugins together, in bytes. Default: no bound but that of each plugin.
/// concurrency: the most calls of plugins at the same time. Default: 256.
/// threads: the threads that run plugins. Default: as many as there are processors.
/// metrics: a function that is called, on a thread of its own, as `metrics(name, kind, labels, value)`. `kind` is
///     "counter" with what was added since the last time, "gauge" with its value, or "histogram" with one sample.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Engine(pub(crate) Arc<Host>);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, cache_directory=None, memory=None, concurrency=None, threads=None, metrics=None))]
    fn new(
        py: Python<'_>,
        cache_directory: Option<PathBuf>,
        memory: Option<usize>,
        concurrency: Option<NonZero<u32>>,
        threads: Option<NonZero<usize>>,
        metrics: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = Options {
            cache_directory,
            memory,
            concurrency: concurrency.map(NonZero::get),
            threads: threads.map(NonZero::get),
            metrics,
        };
        Host::start(py, options).map(Self)
    }

    /// The engine of this process. It is started with its defaults if there is none yet.
    #[staticmethod]
    fn current(py: Python<'_>) -> PyResult<Self> {
        Host::current(py).map(Self)
    }

    /// Ends the engine. Calls that wait for a decision raise `ClosedError`, and futures of asyncio are not settled any more.
    /// The interpreter does so itself when it ends. Another engine can't be started in this process.
    fn close(&self, py: Python<'_>) {
        self.0.close(py);
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
