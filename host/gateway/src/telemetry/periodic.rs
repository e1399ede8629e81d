//! Sends the metrics to the collector at each interval, and once more at the end. They are sums since the start, so that a message
//! that the collector doesn't get is made up for by the next one, and none waits.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::families::Families;
use super::families::Measures;
use super::losses::Losses;
use super::transport::Transport;

/// What is sent, where, and how often.
pub(super) struct Periodic<M> {
    pub(super) transport: Arc<Transport>,
    pub(super) interval: Duration,
    pub(super) metrics: M,
    pub(super) resource: Resource,
    pub(super) losses: Losses,
}

impl<M: Measures> Periodic<M> {
    /// Sends until a stop is requested, and then once more.
    pub(super) async fn run(self, stop: CancellationToken) {
        let began = SystemTime::now();
        let mut ticks = tokio::time::interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let is_last = tokio::select! {
                _ = ticks.tick() => false,
                () = stop.cancelled() => true,
            };
            self.send(began).await;
            if is_last {
                return;
            }
        }
    }

    async fn send(&self, began: SystemTime) {
        let mut families = Families::at(SystemTime::now(), began);
        self.metrics.measure(&mut families);
        let data_points = families.data_points();
        let message = families.into_message(self.resource.clone());
        match self.transport.send(&message).await {
            Ok(rejected) => self.losses.answered(data_points, rejected),
            Err(failed) => self.losses.dropped(data_points, &failed.why),
        }
    }
}
