//! Spans that wait for the collector, so many at most. More are dropped.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::Span;
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk::trace::SpanProcessor;
use tokio::sync::mpsc;

use super::losses::Losses;

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
