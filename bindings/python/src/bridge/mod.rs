//! Two threads that hand over to Python what others have finished: one settles futures of asyncio, and one writes log lines
//! and metrics. No other thread of the engine ever waits for Python's lock, and a slow handler of a log delays no decision.

mod futures;
mod logs;
mod metrics;
mod worker;

use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyAnyMethods;

use self::futures::Settlement;
use self::logs::Logs;
use self::metrics::Metrics;
use self::worker::Worker;
use crate::errors::EngineError;

pub(crate) use self::futures::Waiter;
pub(crate) use self::futures::settle;

/// The threads.
pub(crate) struct Bridge {
    futures: Worker<Settlement>,
    logs: Logs,
    metrics: Option<Py<PyAny>>,
}

impl Bridge {
    /// Starts the threads. From now on, what the host logs goes to Python's `logging`.
    pub(crate) fn start(py: Python<'_>, metrics: Option<Py<PyAny>>) -> PyResult<Self> {
        let receiver = metrics.as_ref().map(|metrics| Metrics::install(metrics.clone_ref(py)));
        Ok(Self {
            futures: Worker::start("portcullis-futures", None, futures::hand_over)?,
            logs: Logs::start(py, receiver.transpose()?)?,
            metrics,
        })
    }

    /// The same threads, for an engine whose metrics go to this function.
    ///
    /// # Errors
    ///
    /// Returns an error if they go elsewhere.
    pub(crate) fn for_metrics(self, py: Python<'_>, metrics: Option<Py<PyAny>>) -> PyResult<Self> {
        let same = match (&self.metrics, &metrics) {
            (Some(own), Some(other)) => own.bind(py).eq(other)?,
            (own, other) => own.is_none() && other.is_none(),
        };
        if same {
            return Ok(self);
        }
        Err(EngineError::new_err(
            "the engine's first start, which failed, had other metrics: a process can't change where they go",
        ))
    }

    /// The future of asyncio for a decision, which belongs to the running event loop.
    ///
    /// # Errors
    ///
    /// Returns an error if no event loop runs.
    pub(crate) fn waiter(&self, py: Python<'_>) -> PyResult<Waiter> {
        Waiter::new(py, self.futures.queue())
    }

    /// Asks Python anew which levels it logs.
    pub(crate) fn refresh_levels(&self, py: Python<'_>) {
        self.logs.refresh(py);
    }

    /// Ends the threads, after they have handed over what they have. The caller isn't attached to Python, because they are.
    pub(crate) fn stop(&self) {
        self.futures.stop();
        self.logs.stop();
    }
}
