//! Clients that exceed a limit, as lines in the log and as a metric. The label `bound` names the limit, which is the
//! configuration key of most of them.

use portcullis_wire::peer::Peer;

/// Logs and counts a client that was cut off because it exceeded `bound`.
pub(crate) fn report(bound: &'static str, client: Peer) {
    count(bound);
    tracing::info!(bound, %client, "a client was cut off");
}

/// Counts a client that exceeded `bound`.
pub(crate) fn count(bound: &'static str) {
    metrics::counter!("portcullis_client_faults_total", "bound" => bound).increment(1);
}

/// Registers the description of the metric.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "portcullis_client_faults_total",
        "Requests and connections that were ended because the client exceeded a limit"
    );
}
