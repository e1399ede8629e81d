//! The metric of decisions: what came of the requests of a route, and who decided. All entrances count, so that it also tells of
//! requests that another proxy forwards.

use metrics::counter;
use metrics::describe_counter;

use crate::pipeline::Accepted;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::sender::Sender;

const DECISIONS: &str = "portcullis_decisions_total";

/// Describes the metric.
pub(crate) fn describe() {
    describe_counter!(DECISIONS, "Requests by what was decided about them, and by whom.");
}

/// What came of a request, and who decided, in the words of the audit log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decider {
    /// What came of it.
    pub(crate) outcome: &'static str,
    /// Who decided.
    pub(crate) by: &'static str,
}

/// No route serves the request.
pub(crate) const UNSERVED: Decider = Decider {
    outcome: "unserved",
    by: "gateway",
};

/// The decision took longer than a front waits.
pub(crate) const LATE: Decider = Decider {
    outcome: "unavailable",
    by: "gateway",
};

/// Counts a request that was decided about. A page of the gateway's own isn't counted.
pub(super) fn count(decided: &Result<Accepted, Rejection>) {
    match decided {
        Ok(Accepted::Internal(_)) => {}
        Ok(Accepted::Forward(outgoing)) => Decider::of(outgoing).count(&outgoing.route().name),
        Err(Rejection::Denied(denied)) => denied.decider.count(&denied.route.name),
        Err(_) => UNSERVED.count(""),
    }
}

impl Decider {
    /// Counts a request of this route. The name is empty if none is known.
    pub(crate) fn count(self, route: &str) {
        let Self { outcome, by } = self;
        counter!(DECISIONS, "route" => route.to_owned(), "outcome" => outcome, "by" => by).increment(1);
    }

    fn of(outgoing: &Outgoing) -> Self {
        let (outcome, by) = match outgoing.sender() {
            Sender::Preflight => ("preflight", "route"),
            Sender::Public => ("public", "route"),
            Sender::Upstream { .. } => ("upstream_credentials", "route"),
            Sender::Decided(decided) => match (decided.decision.outcome.user(), &decided.session) {
                (None, _) => ("anonymous", "route"),
                (Some(_), None) => ("grant", "authenticator"),
                (Some(_), Some(_)) => ("grant", "session"),
            },
        };
        Self { outcome, by }
    }
}
