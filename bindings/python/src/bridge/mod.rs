//! Threads that hand over to Python what others have finished: one settles futures of asyncio, one writes log lines, and one
//! hands over metrics. No other thread of the engine ever waits for Python's lock, and a slow handler of a log delays no decision.

mod futures;
mod logs;
mod metrics;
mod worker;

use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;

use self::futures::Settlement;
use self::logs::Logs;
use self::metrics::Metrics;
use self::worker::Worker;

pub(crate) use self::futures::Waiter;
pub(crate) use self::futures::settle;

/// The threads.
pub(crate) struct Bridge {
    futures: Worker<Settlement>,
    logs: Logs,
    metrics: Metrics,
}

impl Bridge {
    /// Keeps what the host logs from now on, for the thread that passes it to Python's `logging`. No thread runs yet.
    pub(crate) fn new() -> Self {
        Self {
            futures: Worker::new("portcullis-futures"),
            logs: Logs::new(),
            metrics: Metrics::new(),
        }
    }

    /// Starts the threads, that for metrics only if they go to a function.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no thread for it, or if the metrics of the process are sent elsewhere already.
    pub(crate) fn start(&self, metrics: Option<Py<PyAny>>) -> PyResult<()> {
        if let Some(function) = metrics {
            self.metrics.start(function)?;
        }
        self.logs.start()?;
        self.futures.start(None, futures::hand_over)
    }

    /// Sends the metrics of the process to this function, unless they go to another already.
    ///
    /// # Errors
    ///
    /// As [`Bridge::start`], and if the threads have ended.
    pub(crate) fn send_metrics_unless_they_go_elsewhere(&self, function: Py<PyAny>) -> PyResult<()> {
        self.metrics.start(function)
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

    /// Whether the caller runs on one of the threads: in a handler of a log, the function for metrics, or an event loop of its own kind.
    pub(crate) fn is_current_thread(&self) -> bool {
        self.futures.is_current() || self.logs.is_current_thread() || self.metrics.is_current_thread()
    }

    /// Ends the threads, after they have handed over what they have. The caller isn't attached to Python, because they are, and isn't
    /// one of them.
    pub(crate) fn stop(&self) {
        self.futures.stop();
        self.logs.stop();
        self.metrics.stop();
    }
}

/// A function of the application that fails is the application's to know of.
fn report(py: Python<'_>, result: PyResult<()>) {
    if let Err(error) = result {
        error.write_unraisable(py, None);
    }
}
