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
use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;

use super::report;
use super::worker::Worker;
use crate::errors::EngineError;
use crate::lock::lock;

/// The most samples that wait for Python. Samples beyond are lost; counters never are.
const MAX_SAMPLES: usize = 100_000;

/// How often they are handed over.
const INTERVAL: Duration = Duration::from_millis(250);

/// The callback, and the thread that calls it.
pub(super) struct Metrics {
    callback: Py<PyAny>,
    worker: Worker<Infallible>,
}

#[derive(Default)]
struct Pending {
    counters: HashMap<Key, u64>,
    gauges: HashMap<Key, f64>,
    changed: Vec<Key>,
    samples: Vec<(Key, f64)>,
}

impl Metrics {
    /// Sends all metrics of the process to this function, from now on.
    pub(super) fn start(py: Python<'_>, callback: Py<PyAny>) -> PyResult<Self> {
        let pending = Arc::new(Mutex::new(Pending::default()));
        metrics::set_global_recorder(ToPending(Arc::clone(&pending)))
            .map_err(|_| EngineError::new_err("the metrics of this process are sent elsewhere already"))?;
        let receiver = Receiver {
            callback: callback.clone_ref(py),
            pending,
        };
        let hand_over = move |py: Python<'_>, _| report(py, receiver.hand_over(py));
        let worker = Worker::start("portcullis-metrics", Some(INTERVAL), hand_over)?;
        Ok(Self { callback, worker })
    }

    /// Whether they go to this function.
    pub(super) fn is(&self, py: Python<'_>, callback: &Py<PyAny>) -> bool {
        self.callback.bind(py).eq(callback).unwrap_or(false)
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

impl Receiver {
    /// Calls the callback about all that has changed.
    pub(super) fn hand_over(&self, py: Python<'_>) -> PyResult<()> {
        let (counters, gauges, samples) = {
            let mut pending = lock(&self.pending);
            let changed = std::mem::take(&mut pending.changed);
            let value = |key: Key| pending.gauges.get(&key).copied().map(|value| (key, value));
            let gauges = Vec::from_iter(changed.into_iter().filter_map(value));
            (
                std::mem::take(&mut pending.counters),
                gauges,
                std::mem::take(&mut pending.samples),
            )
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "what is counted in a quarter of a second is small"
        )]
        let counters = counters.into_iter().map(|(key, added)| (key, added as f64));
        self.call(py, "counter", counters)?;
        self.call(py, "gauge", gauges)?;
        self.call(py, "histogram", samples)
    }

    fn call(&self, py: Python<'_>, kind: &str, values: impl IntoIterator<Item = (Key, f64)>) -> PyResult<()> {
        for (key, value) in values {
            let labels = PyDict::new(py);
            for label in key.labels() {
                labels.set_item(label.key(), label.value())?;
            }
            self.callback.call1(py, (key.name(), kind, labels, value))?;
        }
        Ok(())
    }
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
        }
    }
}
