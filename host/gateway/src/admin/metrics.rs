//! The metrics of the process, in Prometheus's format. Without an admin listener none are recorded, since they couldn't
//! be scraped.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::SetRecorderError;

use super::exported::Exported;
use super::recorder::Recorder;

/// The metrics recorder of the process. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    recorder: Recorder,
    exported: Arc<ArcSwap<Exported>>,
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
        })
    }

    /// Leaves all other series out from now on, and forgets them.
    pub(crate) fn export_only(&self, exported: Exported) {
        self.exported.store(Arc::new(exported));
    }

    pub(super) fn render(&self) -> String {
        self.exported.load().filter(&self.recorder.render())
    }

    /// Moves recorded values into their buckets periodically, and forgets what isn't exported any more.
    pub(super) async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.recorder.run_upkeep(&self.exported.load());
        }
    }
}

/// Why metrics can't be recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    #[error("a metrics recorder is already installed")]
    Installed,
}

const UPKEEP: Duration = Duration::from_secs(5);
