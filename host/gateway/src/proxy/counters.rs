//! Metrics of upstreams: how requests to their servers ended and how long they took, and which servers are healthy.

use std::time::Duration;

use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;

use super::error::ProxyError;

const REQUESTS: &str = "portcullis_upstream_requests_total";
const SECONDS: &str = "portcullis_upstream_response_seconds";
const RETRIES: &str = "portcullis_upstream_retries_total";
const HEALTHY: &str = "portcullis_upstream_healthy";

/// Counts the requests to one server by their outcome.
pub(super) struct Counters {
    answered: Counter,
    busy: Counter,
    failed: Counter,
    timeout: Counter,
    seconds: Histogram,
}

impl Counters {
    pub(super) fn register(upstream: &str, server: &str) -> Self {
        metrics::describe_counter!(REQUESTS, "Requests to the servers of upstreams, by outcome.");
        metrics::describe_histogram!(
            SECONDS,
            metrics::Unit::Seconds,
            "How long the servers of upstreams took to begin their responses."
        );
        let counter = |outcome: &'static str| {
            metrics::counter!(
                REQUESTS,
                "upstream" => upstream.to_owned(),
                "server" => server.to_owned(),
                "outcome" => outcome
            )
        };
        Self {
            answered: counter("answered"),
            busy: counter("busy"),
            failed: counter("failed"),
            timeout: counter("timeout"),
            seconds: metrics::histogram!(SECONDS, "upstream" => upstream.to_owned(), "server" => server.to_owned()),
        }
    }

    /// Counts a response that began after this time.
    pub(super) fn answered(&self, elapsed: Duration) {
        self.answered.increment(1);
        self.seconds.record(elapsed.as_secs_f64());
    }

    pub(super) fn failed(&self, error: &ProxyError) {
        let counter = match error.label() {
            "busy" => &self.busy,
            "timeout" => &self.timeout,
            _ => &self.failed,
        };
        counter.increment(1);
    }
}

/// `portcullis_upstream_retries_total` of one upstream.
pub(super) fn retries(upstream: &str) -> Counter {
    metrics::describe_counter!(RETRIES, "Requests that were sent again after a server failed.");
    metrics::counter!(RETRIES, "upstream" => upstream.to_owned())
}

/// `portcullis_upstream_healthy` of one server, which counts its healthy addresses.
pub(super) fn healthy(upstream: &str, server: &str) -> Gauge {
    metrics::describe_gauge!(
        HEALTHY,
        "How many addresses of a server are healthy; 0 while it gets no requests."
    );
    metrics::gauge!(
        HEALTHY,
        "upstream" => upstream.to_owned(),
        "server" => server.to_owned()
    )
}
