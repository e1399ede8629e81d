//! What the gateway and its authenticators count, kept for a Prometheus that comes and asks. Without an admin listener
//! nothing is kept, since nobody would ever take it away.

use std::time::Duration;

use metrics::SetRecorderError;
use metrics_exporter_prometheus::BuildError;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;

/// The recorder of the process.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    /// Makes whatever is counted from now on count here.
    pub(crate) fn install() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_: SetRecorderError<_>| MetricsError::Installed)?;
        Ok(Self(handle))
    }

    pub(super) fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what was recorded into its buckets every now and then, so that it doesn't pile up between two scrapes.
    pub(super) async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    #[error("metrics don't start: {0}")]
    Build(#[from] BuildError),
    #[error("metrics are recorded already")]
    Installed,
}

const UPKEEP: Duration = Duration::from_secs(5);

/// From a plugin in Rust to one that waits for an identity provider, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0,
];
