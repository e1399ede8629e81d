//! What clients are cut off for, as lines in the log and as a metric. The name of each is the key that bounds it.

use portcullis_wire::peer::Peer;

/// Notes that a client was cut off. `bound`: which one it broke.
pub(crate) fn report(bound: &'static str, client: Peer) {
    count(bound);
    tracing::info!(bound, %client, "a client was cut off");
}

/// Counts a bound that a client broke.
pub(crate) fn count(bound: &'static str) {
    metrics::counter!("portcullis_client_faults_total", "bound" => bound).increment(1);
}

/// Says what the metric means.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "portcullis_client_faults_total",
        "Requests and connections that were ended because the client broke a bound"
    );
}
