//! The metrics of the process, in Prometheus's format. Without an admin listener none are recorded, since they couldn't
//! be scraped.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::SetRecorderError;
use metrics_exporter_prometheus::BuildError;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;

use super::exported::Exported;

/// The metrics recorder of the process. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    recorder: PrometheusHandle,
    exported: Arc<ArcSwap<Exported>>,
}

impl Metrics {
    /// Installs the recorder of the process.
    pub(crate) fn install() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_: SetRecorderError<_>| MetricsError::Installed)?;
        Ok(Self {
            recorder: handle,
            exported: Arc::default(),
        })
    }

    /// Leaves all other series out from now on.
    pub(crate) fn export_only(&self, exported: Exported) {
        self.exported.store(Arc::new(exported));
    }

    pub(super) fn render(&self) -> String {
        self.exported.load().filter(&self.recorder.render())
    }

    /// Moves recorded values into their buckets periodically, so that they don't accumulate between two scrapes.
    pub(super) async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.recorder.run_upkeep();
        }
    }
}

/// Why metrics can't be recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    #[error("metrics can't be recorded: {0}")]
    Build(#[from] BuildError),
    #[error("a metrics recorder is already installed")]
    Installed,
}

const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds, from a call of a plugin in Rust to one that waits for an identity provider.
const BUCKETS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0,
];
