//! Counts the outbound requests of each plugin by their outcome. The counters are registered once, with the recorder that is
//! installed when the plugin is configured.

use metrics::Counter;

use crate::role::PluginName;

const NAME: &str = "portcullis_outbound_requests_total";

/// The outcome of one request of a plugin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SendOutcome {
    /// No grant covers it, or its host resolves to forbidden addresses only.
    Denied,
    /// There was no response.
    Failed,
    /// A stored response that is fresh.
    Hit,
    /// Too many requests at the same time, or in one call.
    Limited,
    /// A stored response that the server confirmed.
    Revalidated,
    /// The server's response.
    Sent,
    /// The response to an identical request that was in flight.
    Shared,
    /// A stale stored response, because the server failed.
    Stale,
}

/// `portcullis_outbound_requests_total`, by plugin and outcome.
pub(super) struct Counters {
    denied: Counter,
    failed: Counter,
    hit: Counter,
    limited: Counter,
    revalidated: Counter,
    sent: Counter,
    shared: Counter,
    stale: Counter,
}

impl Counters {
    pub(super) fn register(name: &PluginName) -> Self {
        metrics::describe_counter!(NAME, "Requests of plugins to other servers, by outcome.");
        Self::each(|outcome| {
            metrics::counter!(
                NAME,
                name.role().label() => name.to_string(),
                "outcome" => outcome
            )
        })
    }

    /// Counters that count nothing.
    pub(super) fn none() -> Self {
        Self::each(|_| Counter::noop())
    }

    fn each(counter: impl Fn(&'static str) -> Counter) -> Self {
        Self {
            denied: counter("denied"),
            failed: counter("failed"),
            hit: counter("hit"),
            limited: counter("limited"),
            revalidated: counter("revalidated"),
            sent: counter("sent"),
            shared: counter("shared"),
            stale: counter("stale"),
        }
    }

    pub(super) fn count(&self, outcome: SendOutcome) {
        let counter = match outcome {
            SendOutcome::Denied => &self.denied,
            SendOutcome::Failed => &self.failed,
            SendOutcome::Hit => &self.hit,
            SendOutcome::Limited => &self.limited,
            SendOutcome::Revalidated => &self.revalidated,
            SendOutcome::Sent => &self.sent,
            SendOutcome::Shared => &self.shared,
            SendOutcome::Stale => &self.stale,
        };
        counter.increment(1);
    }
}
