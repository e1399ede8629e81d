//! Spans that wait for the collector, so many at most. More are dropped, which is counted, and told once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::counter;
use metrics::describe_counter;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::Span;
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk::trace::SpanProcessor;
use tokio::sync::mpsc;

const SPANS: &str = "portcullis_telemetry_spans_total";

/// Describes the metric.
pub(super) fn describe() {
    describe_counter!(SPANS, "Spans of traces, by whether the collector has taken them");
}

/// Takes spans that have ended. It never waits.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    losses: Losses,
}

impl Queue {
    pub(super) fn new(sender: mpsc::Sender<SpanData>, losses: Losses) -> Self {
        Self { sender, losses }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.losses.dropped(1, "more spans wait than telemetry.queue allows");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Counts what becomes of spans. Clones share whether a loss was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    is_told: Arc<AtomicBool>,
}

impl Losses {
    /// Counts spans that the collector doesn't get. The first loss is logged.
    pub(super) fn dropped(&self, spans: u64, why: &str) {
        counter!(SPANS, "outcome" => "dropped").increment(spans);
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "spans are dropped; requests go on, and the next line tells when the collector takes spans again"
            );
        }
    }

    /// Counts spans that the collector has taken.
    pub(super) fn sent(&self, spans: u64) {
        counter!(SPANS, "outcome" => "sent").increment(spans);
        if self.is_told.swap(false, Ordering::Relaxed) {
            tracing::info!("the collector takes spans again");
        }
    }
}
