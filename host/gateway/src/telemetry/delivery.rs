//! Delivers spans to the collector in batches. A collector that is away is tried again with growing pauses, while others wait
//! in the queue.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::losses::Losses;
use super::transport::Transport;

/// What is delivered, and where.
pub(super) struct Delivery {
    pub(super) transport: Arc<Transport>,
    pub(super) waiting: mpsc::Receiver<SpanData>,
    pub(super) losses: Losses,
    pub(super) resource: ResourceAttributesWithSchema,
}

impl Delivery {
    /// Delivers until a stop is requested, and then what waits.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = self.gather(&mut batch) => {}
                () = stop.cancelled() => break,
            }
            if batch.is_empty() {
                return;
            }
            self.deliver(std::mem::take(&mut batch), &stop).await;
        }
        while let Ok(span) = self.waiting.try_recv() {
            batch.push(span);
            if batch.len() >= MAX_BATCH {
                self.deliver(std::mem::take(&mut batch), &stop).await;
            }
        }
        if !batch.is_empty() {
            self.deliver(batch, &stop).await;
        }
    }

    /// Adds the next spans: as many as come within a second, or as one message may have. None if there won't be any more.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) {
        if self.waiting.recv_many(batch, MAX_BATCH).await == 0 {
            return;
        }
        let deadline = tokio::time::sleep(DELAY);
        tokio::pin!(deadline);
        while batch.len() < MAX_BATCH {
            let room = MAX_BATCH - batch.len();
            tokio::select! {
                more = self.waiting.recv_many(batch, room) => if more == 0 { break },
                () = &mut deadline => break,
            }
        }
    }

    async fn deliver(&self, batch: Vec<SpanData>, stop: &CancellationToken) {
        let spans = batch.len() as u64;
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let failed = match self.transport.send(&request).await {
                Ok(rejected) => return self.losses.answered(spans, rejected),
                Err(failed) => failed,
            };
            tracing::debug!(why = failed.why, "the collector doesn't take spans");
            if !failed.may_pass || pause > LONGEST_PAUSE || stop.is_cancelled() {
                return self.losses.dropped(spans, &failed.why);
            }
            // Cancelled or not, it is tried once more.
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
            pause *= 2;
        }
    }
}

/// How many spans a message has at most.
const MAX_BATCH: usize = 512;
/// How long spans wait for others, so that they share a message.
const DELAY: Duration = Duration::from_secs(1);
/// The pauses double: 1, 2, 4 and 8 seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
