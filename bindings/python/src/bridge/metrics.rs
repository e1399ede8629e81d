//! Metrics for a callback of Python's. They are added up until the thread that hands them over takes them, so that counting
//! waits for nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use metrics::Counter;
use metrics::CounterFn;
use metrics::Gauge;
use metrics::GaugeFn;
use metrics::Histogram;
use metrics::HistogramFn;
use metrics::Key;
use metrics::KeyName;
use metrics::Metadata;
use metrics::Recorder;
use metrics::SharedString;
use metrics::Unit;
use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyErr;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;

use super::report;
use super::worker::Worker;
use crate::errors::EngineError;
use crate::lock::lock;

/// The most samples that wait for Python. Samples beyond are lost, and how many is logged; counters never are.
const MAX_SAMPLES: usize = 100_000;

/// How often they are handed over.
const INTERVAL: Duration = Duration::from_millis(250);

/// What is recorded, and the thread that hands it over.
pub(super) struct Metrics {
    pending: Arc<Mutex<Pending>>,
    worker: Worker<Infallible>,
    is_recording: Mutex<bool>,
}

#[derive(Default)]
struct Pending {
    counters: HashMap<Key, u64>,
    gauges: HashMap<Key, f64>,
    changed: Vec<Key>,
    samples: Vec<(Key, f64)>,
    /// How many samples were beyond [`MAX_SAMPLES`].
    lost: u64,
}

impl Metrics {
    /// Records nothing yet.
    pub(super) fn new() -> Self {
        Self {
            pending: Arc::default(),
            worker: Worker::new("portcullis-metrics"),
            is_recording: Mutex::new(false),
        }
    }

    /// Sends all metrics of the process to this function, from now on, unless another one gets them.
    ///
    /// # Errors
    ///
    /// Returns an error if other code of this process has them, or if the thread can't start.
    pub(super) fn start(&self, callback: Py<PyAny>) -> PyResult<()> {
        self.record()?;
        let receiver = Receiver {
            callback,
            pending: Arc::clone(&self.pending),
        };
        let hand_over = move |py: Python<'_>, _| report(py, receiver.hand_over(py));
        self.worker.start(Some(INTERVAL), hand_over)
    }

    /// Records the metrics of the process. That can't be undone.
    fn record(&self) -> PyResult<()> {
        let mut is_recording = lock(&self.is_recording);
        if !*is_recording {
            metrics::set_global_recorder(ToPending(Arc::clone(&self.pending)))
                .map_err(|_| EngineError::new_err("the metrics of this process are sent elsewhere already"))?;
            *is_recording = true;
        }
        Ok(())
    }

    pub(super) fn is_current_thread(&self) -> bool {
        self.worker.is_current()
    }

    /// Ends the thread, after it has handed over what there is.
    pub(super) fn stop(&self) {
        self.worker.stop();
    }
}

/// The callback, and what it hasn't seen yet.
struct Receiver {
    callback: Py<PyAny>,
    pending: Arc<Mutex<Pending>>,
}

/// The calls of one round.
#[derive(Default)]
struct Round {
    calls: usize,
    failures: usize,
    /// The first metric about which the callback raised an exception.
    first: Option<(Key, PyErr)>,
}

impl Receiver {
    /// Calls the callback about all that has changed. What it can't take is logged, and the others are handed over all the same.
    ///
    /// # Errors
    ///
    /// Returns an error if Python's `logging` raises an exception.
    fn hand_over(&self, py: Python<'_>) -> PyResult<()> {
        let (counters, gauges, samples, lost) = {
            let mut pending = lock(&self.pending);
            let changed = std::mem::take(&mut pending.changed);
            let value = |key: Key| pending.gauges.get(&key).copied().map(|value| (key, value));
            let gauges = Vec::from_iter(changed.into_iter().filter_map(value));
            (
                std::mem::take(&mut pending.counters),
                gauges,
                std::mem::take(&mut pending.samples),
                std::mem::take(&mut pending.lost),
            )
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "what is counted in a quarter of a second is small"
        )]
        let counters = counters.into_iter().map(|(key, added)| (key, added as f64));
        let mut round = Round::default();
        self.call(py, "counter", counters, &mut round);
        self.call(py, "gauge", gauges, &mut round);
        self.call(py, "histogram", samples, &mut round);
        if let Some((key, error)) = round.first {
            let (failures, calls, name) = (round.failures, round.calls, key.name());
            let text = format!(
                "the function for metrics failed at {failures} of {calls} values, which are lost, first at {name}"
            );
            log_error(py, &text, Some(error))?;
        }
        if lost > 0 {
            let text =
                format!("{lost} samples of histograms are lost, because the function for metrics is too slow for them");
            log_error(py, &text, None)?;
        }
        Ok(())
    }

    fn call(&self, py: Python<'_>, kind: &str, values: impl IntoIterator<Item = (Key, f64)>, round: &mut Round) {
        for (key, value) in values {
            round.calls += 1;
            if let Err(error) = self.call_once(py, kind, &key, value) {
                round.failures += 1;
                round.first.get_or_insert((key, error));
            }
        }
    }

    fn call_once(&self, py: Python<'_>, kind: &str, key: &Key, value: f64) -> PyResult<()> {
        let labels = PyDict::new(py);
        for label in key.labels() {
            labels.set_item(label.key(), label.value())?;
        }
        self.callback.call1(py, (key.name(), kind, labels, value)).map(drop)
    }
}

/// Logs an error about what this thread does. It goes to Python itself, because the thread for log lines may have ended.
fn log_error(py: Python<'_>, text: &str, error: Option<PyErr>) -> PyResult<()> {
    let logger = py
        .import("logging")?
        .call_method1("getLogger", ("portcullis.metrics",))?;
    let more = PyDict::new(py);
    more.set_item("exc_info", error.map(|error| error.into_value(py)))?;
    logger.call_method("error", ("%s", text), Some(&more)).map(drop)
}

struct ToPending(Arc<Mutex<Pending>>);

impl ToPending {
    fn handle(&self, key: &Key) -> Arc<Handle> {
        Arc::new(Handle {
            key: key.clone(),
            pending: Arc::clone(&self.0),
        })
    }
}

impl Recorder for ToPending {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle(key))
    }
}

/// One metric.
struct Handle {
    key: Key,
    pending: Arc<Mutex<Pending>>,
}

impl Handle {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut pending = lock(&self.pending);
        let value = pending.gauges.entry(self.key.clone()).or_default();
        *value = change(*value);
        if !pending.changed.contains(&self.key) {
            pending.changed.push(self.key.clone());
        }
    }
}

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        *lock(&self.pending).counters.entry(self.key.clone()).or_default() += value;
    }

    /// No crate of Portcullis sets a counter.
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Handle {
    fn increment(&self, value: f64) {
        self.change(|old| old + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|old| old - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        let mut pending = lock(&self.pending);
        if pending.samples.len() < MAX_SAMPLES {
            pending.samples.push((self.key.clone(), value));
        } else {
            pending.lost += 1;
        }
    }
}
