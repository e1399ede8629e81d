//! The metrics of an authenticator. They go to the recorder that the process has installed with the crate `metrics`
//! when the authenticator is built.

use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;
use metrics::counter;
use metrics::describe_counter;
use metrics::describe_gauge;
use metrics::describe_histogram;
use metrics::gauge;
use metrics::histogram;

use crate::decision::Attribute;
use crate::decision::AttributeRead;
use crate::decision::Step;
use crate::decision::Verdict;
use crate::sandbox::PluginError;

/// The metrics of one authenticator.
pub(crate) struct Meters {
    authenticator: String,
    verdicts: [Counter; Verdict::LABELS.len()],
    seconds: Histogram,
    errors: [Counter; PluginError::LABELS.len()],
    denied: [Counter; DENIED.len()],
    reused: Counter,
}

/// The kinds of attributes that need a grant.
const DENIED: [&str; 4] = ["header", "cookie", "client_certificate", "negotiate"];

impl Meters {
    pub(crate) fn new(authenticator: &str) -> Self {
        describe();
        let name = || authenticator.to_owned();
        Self {
            authenticator: name(),
            verdicts: Verdict::LABELS.map(|verdict| {
                counter!("portcullis_authenticator_calls_total", "authenticator" => name(), "verdict" => verdict)
            }),
            seconds: histogram!("portcullis_authenticator_call_seconds", "authenticator" => name()),
            errors: PluginError::LABELS.map(|reason| {
                counter!("portcullis_authenticator_errors_total", "authenticator" => name(), "reason" => reason)
            }),
            reused: counter!("portcullis_authenticator_reused_total", "authenticator" => name()),
            denied: DENIED.map(|kind| {
                counter!("portcullis_authenticator_denied_total", "authenticator" => name(), "kind" => kind)
            }),
        }
    }

    /// Counts one step of a decision.
    pub(crate) fn record(&self, step: &Step) {
        if step.reused.is_some() {
            self.reused.increment(1);
            return;
        }
        increment(&self.verdicts, &Verdict::LABELS, step.verdict.label());
        self.seconds.record(step.elapsed.as_secs_f64());
        for kind in step.reads.iter().filter_map(denied) {
            increment(&self.denied, &DENIED, kind);
        }
    }

    /// Counts a failed call.
    pub(crate) fn failed(&self, error: &PluginError) {
        increment(&self.errors, &PluginError::LABELS, error.label());
    }

    pub(crate) fn breaker(&self) -> BreakerMeters {
        let name = || self.authenticator.clone();
        let openings = |scope: &'static str| counter!("portcullis_authenticator_breaker_openings_total", "authenticator" => name(), "scope" => scope);
        BreakerMeters {
            credentials: openings("credentials"),
            client: openings("client"),
            for_all: openings("all"),
            open: gauge!("portcullis_authenticator_breaker_open", "authenticator" => name()),
        }
    }
}

fn describe() {
    describe_counter!(
        "portcullis_authenticator_calls_total",
        "Requests about which an authenticator was called"
    );
    describe_histogram!("portcullis_authenticator_call_seconds", "The duration of calls");
    describe_counter!(
        "portcullis_authenticator_errors_total",
        "Calls in which the plugin failed"
    );
    describe_counter!(
        "portcullis_authenticator_denied_total",
        "Attributes that the plugin read without a grant"
    );
    describe_counter!(
        "portcullis_authenticator_reused_total",
        "Requests that got the decision of an earlier call"
    );
    describe_counter!(
        "portcullis_authenticator_breaker_openings_total",
        "How often its breaker opened"
    );
    describe_gauge!(
        "portcullis_authenticator_breaker_open",
        "1 while its breaker is open for all clients"
    );
}

fn denied(read: &AttributeRead) -> Option<&'static str> {
    if read.granted {
        return None;
    }
    match read.attribute {
        Attribute::Header(_) => Some("header"),
        Attribute::Cookie(_) => Some("cookie"),
        Attribute::ClientCertificate => Some("client_certificate"),
        Attribute::Negotiate(_) => Some("negotiate"),
        _ => None,
    }
}

fn increment(counters: &[Counter], labels: &[&str], label: &str) {
    if let Some((_, counter)) = labels.iter().zip(counters).find(|(known, _)| **known == label) {
        counter.increment(1);
    }
}

/// Why an instance wasn't kept, or isn't kept any longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dropped {
    /// It has reached its age.
    Age,
    /// All authenticators together keep as many, or as much of the memory, as they may.
    Engine,
    /// Its call failed.
    Failed,
    /// It keeps handles of the host.
    Handles,
    /// It has taken too much memory.
    Memory,
    /// Its authenticator was replaced, or had to forget what it knew.
    Replaced,
    /// It has served its requests.
    Requests,
    /// There were as many idle instances as are kept.
    Surplus,
}

impl Dropped {
    const LABELS: [&str; 8] = [
        "age", "engine", "failed", "handles", "memory", "replaced", "requests", "surplus",
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Engine => "engine",
            Self::Failed => "failed",
            Self::Handles => "handles",
            Self::Memory => "memory",
            Self::Replaced => "replaced",
            Self::Requests => "requests",
            Self::Surplus => "surplus",
        }
    }
}

/// The metrics of the instances that an authenticator keeps.
pub(crate) struct KeptMeters {
    idle: Gauge,
    reused: Counter,
    dropped: [Counter; Dropped::LABELS.len()],
}

impl KeptMeters {
    pub(crate) fn new(authenticator: &str) -> Self {
        describe_gauge!(
            "portcullis_authenticator_kept_instances",
            "Idle instances that are kept for later calls"
        );
        describe_counter!(
            "portcullis_authenticator_instance_reuses_total",
            "Calls that an instance has served which had served one before"
        );
        describe_counter!(
            "portcullis_authenticator_instances_dropped_total",
            "Instances that were not kept, or not any longer"
        );
        let name = || authenticator.to_owned();
        Self {
            idle: gauge!("portcullis_authenticator_kept_instances", "authenticator" => name()),
            reused: counter!("portcullis_authenticator_instance_reuses_total", "authenticator" => name()),
            dropped: Dropped::LABELS.map(|reason| {
                counter!("portcullis_authenticator_instances_dropped_total", "authenticator" => name(), "reason" => reason)
            }),
        }
    }

    /// Counts a call of an instance that was kept.
    pub(crate) fn reused(&self) {
        self.reused.increment(1);
    }

    /// Counts an instance that isn't kept.
    pub(crate) fn dropped(&self, why: Dropped) {
        increment(&self.dropped, &Dropped::LABELS, why.label());
    }

    /// Counts an idle instance until the result is dropped.
    pub(crate) fn count(&self) -> CountedInstance {
        self.idle.increment(1);
        CountedInstance(self.idle.clone())
    }
}

/// An instance that counts as idle until this is dropped.
pub(crate) struct CountedInstance(Gauge);

impl Drop for CountedInstance {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The metrics of a circuit breaker.
#[derive(Debug)]
pub(crate) struct BreakerMeters {
    credentials: Counter,
    client: Counter,
    for_all: Counter,
    open: Gauge,
}

impl BreakerMeters {
    /// Counts credentials that are stopped.
    pub(crate) fn credentials_stopped(&self) {
        self.credentials.increment(1);
    }

    /// Counts a client that is suspect.
    pub(crate) fn client_suspected(&self) {
        self.client.increment(1);
    }

    pub(crate) fn all_stopped(&self) {
        self.for_all.increment(1);
        self.open.set(1);
    }

    pub(crate) fn closed(&self) {
        self.open.set(0);
    }
}
