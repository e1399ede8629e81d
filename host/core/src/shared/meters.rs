//! The metrics of a shared state: what its store is asked, how long the answers take, and whether it answers at all.

use std::time::Duration;

use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;
use metrics::counter;
use metrics::describe_counter;
use metrics::describe_gauge;
use metrics::describe_histogram;
use metrics::gauge;
use metrics::histogram;

/// What a store is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    Get,
    Set,
    Add,
    Delete,
    Charge,
}

const OPERATIONS: [(Operation, &str); 5] = [
    (Operation::Get, "get"),
    (Operation::Set, "set"),
    (Operation::Add, "add"),
    (Operation::Delete, "delete"),
    (Operation::Charge, "charge"),
];

/// The metrics of one operation.
struct OfOperation {
    operation: Operation,
    answered: Counter,
    failed: Counter,
    seconds: Histogram,
}

/// The metrics of a shared state.
pub(super) struct Meters {
    operations: [OfOperation; OPERATIONS.len()],
    /// Values that this process had already.
    pub(super) near: Counter,
    /// Whether the store answers: 1 or 0.
    pub(super) up: Gauge,
}

impl Meters {
    pub(super) fn new() -> Self {
        describe_counter!(
            "portcullis_shared_state_requests_total",
            "Questions to the store of the shared state, and values that were near enough"
        );
        describe_histogram!(
            "portcullis_shared_state_seconds",
            metrics::Unit::Seconds,
            "How long the store of the shared state took to answer"
        );
        describe_gauge!(
            "portcullis_shared_state_up",
            "1 if the store of the shared state answers, 0 while this process goes on by itself"
        );
        let count = |operation: &'static str, result: &'static str| counter!("portcullis_shared_state_requests_total", "operation" => operation, "result" => result);
        let up = gauge!("portcullis_shared_state_up");
        up.set(1.0);
        Self {
            operations: OPERATIONS.map(|(operation, name)| OfOperation {
                operation,
                answered: count(name, "ok"),
                failed: count(name, "failed"),
                seconds: histogram!("portcullis_shared_state_seconds", "operation" => name),
            }),
            near: count("get", "near"),
            up,
        }
    }

    /// Counts a question to the store.
    pub(super) fn asked(&self, operation: Operation, took: Duration, was_answered: bool) {
        let mut operations = self.operations.iter();
        if let Some(of) = operations.find(|of| of.operation == operation) {
            let count = if was_answered { &of.answered } else { &of.failed };
            count.increment(1);
            of.seconds.record(took);
        }
    }
}
