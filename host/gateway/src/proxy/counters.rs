//! Metrics of upstreams: how requests to their servers ended, and which servers are healthy.

use metrics::Counter;
use metrics::Gauge;

use super::error::ProxyError;

const REQUESTS: &str = "portcullis_upstream_requests_total";
const RETRIES: &str = "portcullis_upstream_retries_total";
const HEALTHY: &str = "portcullis_upstream_healthy";

/// Counts the requests to one server by their outcome.
pub(super) struct Counters {
    answered: Counter,
    busy: Counter,
    failed: Counter,
    timeout: Counter,
}

impl Counters {
    pub(super) fn register(upstream: &str, server: &str) -> Self {
        metrics::describe_counter!(REQUESTS, "Requests to the servers of upstreams, by outcome.");
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
        }
    }

    pub(super) fn answered(&self) {
        self.answered.increment(1);
    }

    pub(super) fn failed(&self, error: &ProxyError) {
        let counter = match error {
            ProxyError::Busy => &self.busy,
            ProxyError::ConnectTimeout | ProxyError::Timeout => &self.timeout,
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
