//! How outbound requests ended, counted per authenticator. The handles are registered once, with the recorder that the
//! process has by then.

use metrics::Counter;

const NAME: &str = "portcullis_outbound_requests_total";

/// How one request of a plugin ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// It was out of the grants.
    Denied,
    /// No answer.
    Failed,
    /// A stored answer, still fresh.
    Hit,
    /// More at once, or in one call, than may be.
    Limited,
    /// A stored answer that the server confirmed.
    Revalidated,
    /// The server's answer.
    Sent,
    /// The answer to another request, which was the same and under way.
    Shared,
    /// A stored answer, no longer fresh, since the server failed.
    Stale,
}

/// `portcullis_outbound_requests_total`, by authenticator and outcome.
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
    pub(super) fn register(authenticator: &str) -> Self {
        metrics::describe_counter!(NAME, "Requests of plugins to other servers, by how they ended.");
        Self::each(|outcome| {
            metrics::counter!(
                NAME,
                "authenticator" => authenticator.to_owned(),
                "outcome" => outcome
            )
        })
    }

    /// Counts nothing.
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

    pub(super) fn count(&self, ending: Ending) {
        let counter = match ending {
            Ending::Denied => &self.denied,
            Ending::Failed => &self.failed,
            Ending::Hit => &self.hit,
            Ending::Limited => &self.limited,
            Ending::Revalidated => &self.revalidated,
            Ending::Sent => &self.sent,
            Ending::Shared => &self.shared,
            Ending::Stale => &self.stale,
        };
        counter.increment(1);
    }
}
