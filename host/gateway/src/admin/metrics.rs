//! The metrics of the process, in Prometheus's format and for a collector of OpenTelemetry. Without an admin listener
//! and without a collector, the process records none, because nobody could read them.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use metrics::Key;
use metrics::SetRecorderError;

use super::exported::Exported;
use super::recorder::Recorder;
use super::status::History;
use crate::telemetry::Families;
use crate::telemetry::Measures;

/// The metrics recorder of the process. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    recorder: Recorder,
    exported: Arc<ArcSwap<Exported>>,
    history: Arc<Mutex<History>>,
}

impl Metrics {
    /// Installs the recorder of the process.
    pub(crate) fn install() -> Result<Self, MetricsError> {
        let recorder = Recorder::new();
        let installed = metrics::set_global_recorder(recorder.clone());
        installed.map_err(|_: SetRecorderError<_>| MetricsError::Installed)?;
        Ok(Self {
            recorder,
            exported: Arc::default(),
            history: Arc::default(),
        })
    }

    /// Leaves all other series out from now on, and forgets them.
    pub(crate) fn export_only(&self, exported: Exported) {
        self.exported.store(Arc::new(exported));
    }

    pub(super) fn render(&self) -> String {
        self.exported.load().filter(&self.recorder.render())
    }

    /// The gauges of what exists, with their values.
    pub(super) fn gauges(&self) -> Vec<(Key, f64)> {
        let exported = self.exported.load();
        let mut gauges = Vec::new();
        self.recorder.visit_gauges(|key, value| {
            if exported.covers(key) {
                gauges.push((key.clone(), value));
            }
        });
        gauges
    }

    /// Reads the last hour until now.
    pub(super) fn with_history<T>(&self, now: SystemTime, read: impl FnOnce(&History) -> T) -> T {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.note(&self.recorder, &self.exported.load(), now);
        read(&history)
    }

    /// Moves recorded values into their buckets periodically, and forgets what isn't exported any more.
    pub(crate) async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.recorder.run_upkeep(&self.exported.load());
        }
    }

    /// Keeps the last hour for the status page.
    pub(super) async fn keep_history(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.with_history(SystemTime::now(), |_| ());
        }
    }
}

impl Measures for Metrics {
    fn measure(&self, families: &mut Families) {
        let exported = self.exported.load();
        self.recorder.visit_counters(|key, value| {
            if exported.covers(key) {
                families.counter(key, value);
            }
        });
        self.recorder.visit_gauges(|key, value| {
            if exported.covers(key) {
                families.gauge(key, value);
            }
        });
        self.recorder.visit_histograms(|key, buckets| {
            if exported.covers(key) {
                families.histogram(key, buckets);
            }
        });
        self.recorder
            .visit_descriptions(|name, text| families.describe(name, text));
    }
}

/// Why metrics can't be recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    #[error("a metrics recorder is already installed")]
    Installed,
}

const UPKEEP: Duration = Duration::from_secs(5);
