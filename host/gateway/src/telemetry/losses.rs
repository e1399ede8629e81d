//! Counts what the collector takes and what it doesn't get, and tells the first loss in the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use metrics::counter;
use metrics::describe_counter;

/// What a message has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Items {
    DataPoints,
    Spans,
}

impl Items {
    /// The metric that counts them.
    fn metric(self) -> &'static str {
        match self {
            Self::DataPoints => "portcullis_telemetry_data_points_total",
            Self::Spans => "portcullis_telemetry_spans_total",
        }
    }
}

impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DataPoints => "metrics",
            Self::Spans => "spans",
        })
    }
}

/// Counts what becomes of spans or data points. Clones share whether a loss was told.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    items: Items,
    is_told: Arc<AtomicBool>,
}

impl Losses {
    pub(super) fn new(items: Items) -> Self {
        let what = match items {
            Items::DataPoints => "Data points of metrics, by whether the collector has taken them",
            Items::Spans => "Spans of traces, by whether the collector has taken them",
        };
        describe_counter!(items.metric(), what);
        let is_told = Arc::default();
        Self { items, is_told }
    }

    /// Counts what a message had, of which the collector rejects some.
    pub(super) fn answered(&self, count: u64, rejected: u64) {
        let rejected = rejected.min(count);
        counter!(self.items.metric(), "outcome" => "sent").increment(count - rejected);
        if rejected > 0 {
            self.dropped(rejected, "the collector rejects them");
        } else if self.is_told.swap(false, Ordering::Relaxed) {
            tracing::info!("the collector takes {} again", self.items);
        }
    }

    /// Counts what the collector doesn't get. The first loss is logged.
    pub(super) fn dropped(&self, count: u64, why: &str) {
        counter!(self.items.metric(), "outcome" => "dropped").increment(count);
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "{} are dropped; requests go on, and the next line tells when the collector takes {0} again",
                self.items
            );
        }
    }
}
