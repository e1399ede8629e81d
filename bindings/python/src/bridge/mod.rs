//! Threads that hand over to Python what others have finished: one settles futures of asyncio, one writes log lines, and one
//! hands over metrics. No other thread of the engine ever waits for Python's lock, and a slow handler of a log delays no decision.

mod futures;
mod logs;
mod metrics;
mod worker;

use std::sync::Mutex;

use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;

use self::futures::Settlement;
use self::logs::Logs;
use self::metrics::Metrics;
use self::worker::Worker;
use crate::errors::EngineError;
use crate::lock::lock;
use crate::lock::lock_attached;

pub(crate) use self::futures::Waiter;
pub(crate) use self::futures::settle;

/// The threads.
pub(crate) struct Bridge {
    futures: Worker<Settlement>,
    logs: Logs,
    /// `None` if they go nowhere.
    metrics: Mutex<Option<Metrics>>,
}

impl Bridge {
    /// Starts the threads for futures and log lines. From now on, what the host logs goes to Python's `logging`.
    pub(crate) fn start() -> PyResult<Self> {
        Ok(Self {
            futures: Worker::start("portcullis-futures", None, futures::hand_over)?,
            logs: Logs::start()?,
            metrics: Mutex::new(None),
        })
    }

    /// Sends the metrics of the process to this function.
    ///
    /// # Errors
    ///
    /// Returns an error if they go elsewhere, because an earlier start of an engine sent them there and failed.
    pub(crate) fn send_metrics(&self, py: Python<'_>, function: Option<Py<PyAny>>) -> PyResult<()> {
        let mut metrics = lock_attached(py, &self.metrics);
        match (&*metrics, function) {
            (None, None) => Ok(()),
            (None, Some(function)) => {
                *metrics = Some(Metrics::start(py, function)?);
                Ok(())
            }
            (Some(receiver), Some(function)) if receiver.is(py, &function) => Ok(()),
            (Some(_), _) => Err(EngineError::new_err(
                "the engine's first start, which failed, had other metrics: a process can't change where they go",
            )),
        }
    }

    /// Sends the metrics of the process to this function, unless they go to another already.
    pub(crate) fn send_metrics_unless_they_go_elsewhere(&self, py: Python<'_>, function: Py<PyAny>) -> PyResult<()> {
        let mut metrics = lock_attached(py, &self.metrics);
        if metrics.is_none() {
            *metrics = Some(Metrics::start(py, function)?);
        }
        Ok(())
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
        if let Some(metrics) = &*lock(&self.metrics) {
            metrics.stop();
        }
    }
}

/// A function of the application that fails is the application's to know of.
fn report(py: Python<'_>, result: PyResult<()>) {
    if let Err(error) = result {
        error.write_unraisable(py, None);
    }
}
