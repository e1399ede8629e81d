//! The metrics of a plugin. They go to the recorder that the process has installed with the crate `metrics` when the plugin is
//! configured. Those of authenticators and of authorizers have names of their own.

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
use crate::role::MetricNames;
use crate::role::PluginName;
use crate::role::Role;
use crate::sandbox::PluginError;

const CALLS: MetricNames = MetricNames::new(
    "portcullis_authenticator_calls_total",
    "portcullis_authorizer_calls_total",
);
const CALL_SECONDS: MetricNames = MetricNames::new(
    "portcullis_authenticator_call_seconds",
    "portcullis_authorizer_call_seconds",
);
const ERRORS: MetricNames = MetricNames::new(
    "portcullis_authenticator_errors_total",
    "portcullis_authorizer_errors_total",
);
const REUSED: MetricNames = MetricNames::new(
    "portcullis_authenticator_reused_total",
    "portcullis_authorizer_reused_total",
);
const DENIED_READS: MetricNames = MetricNames::new(
    "portcullis_authenticator_denied_total",
    "portcullis_authorizer_denied_total",
);
const BREAKER_OPENINGS: MetricNames = MetricNames::new(
    "portcullis_authenticator_breaker_openings_total",
    "portcullis_authorizer_breaker_openings_total",
);
const BREAKER_OPEN: MetricNames = MetricNames::new(
    "portcullis_authenticator_breaker_open",
    "portcullis_authorizer_breaker_open",
);
const KEPT_INSTANCES: MetricNames = MetricNames::new(
    "portcullis_authenticator_kept_instances",
    "portcullis_authorizer_kept_instances",
);
const INSTANCE_REUSES: MetricNames = MetricNames::new(
    "portcullis_authenticator_instance_reuses_total",
    "portcullis_authorizer_instance_reuses_total",
);
const INSTANCES_DROPPED: MetricNames = MetricNames::new(
    "portcullis_authenticator_instances_dropped_total",
    "portcullis_authorizer_instances_dropped_total",
);

/// The metrics of one plugin.
pub(crate) struct Meters {
    name: PluginName,
    verdicts: Vec<(&'static str, Counter)>,
    seconds: Histogram,
    errors: [Counter; PluginError::LABELS.len()],
    denied: [Counter; DENIED.len()],
    reused: Counter,
}

/// The kinds of attributes that need a grant.
const DENIED: [&str; 4] = ["header", "cookie", "client_certificate", "negotiate"];

/// The verdicts that only plugins of a role return.
const ONLY_OF: [(&str, Role); 5] = [
    ("grant", Role::Authenticator),
    ("pass", Role::Authenticator),
    ("reject", Role::Authenticator),
    ("hide", Role::Authorizer),
    ("permit", Role::Authorizer),
];

impl Meters {
    pub(crate) fn new(name: &PluginName) -> Self {
        describe(name);
        let (role, own) = (name.role().label(), || name.to_string());
        let is_possible = |verdict: &&str| {
            let mut only = ONLY_OF.iter().filter(|(known, _)| known == verdict);
            only.all(|(_, role)| *role == name.role())
        };
        let verdicts = Verdict::LABELS.into_iter().filter(is_possible);
        let verdicts = verdicts.map(|verdict| {
            let counter = counter!(name.metric(CALLS), role => own(), "verdict" => verdict);
            (verdict, counter)
        });
        Self {
            verdicts: verdicts.collect(),
            seconds: histogram!(name.metric(CALL_SECONDS), role => own()),
            errors: PluginError::LABELS.map(|reason| counter!(name.metric(ERRORS), role => own(), "reason" => reason)),
            reused: counter!(name.metric(REUSED), role => own()),
            denied: DENIED.map(|kind| counter!(name.metric(DENIED_READS), role => own(), "kind" => kind)),
            name: name.clone(),
        }
    }

    /// Counts one step of a decision.
    pub(crate) fn record(&self, step: &Step) {
        if step.reused.is_some() {
            self.reused.increment(1);
            return;
        }
        let label = step.verdict.label();
        if let Some((_, counter)) = self.verdicts.iter().find(|(verdict, _)| *verdict == label) {
            counter.increment(1);
        }
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
        let name = &self.name;
        let (role, own) = (name.role().label(), || name.to_string());
        let openings = |scope: &'static str| counter!(name.metric(BREAKER_OPENINGS), role => own(), "scope" => scope);
        BreakerMeters {
            credentials: openings("credentials"),
            client: openings("client"),
            for_all: openings("all"),
            open: gauge!(name.metric(BREAKER_OPEN), role => own()),
        }
    }
}

fn describe(name: &PluginName) {
    let what = match name.role() {
        Role::Authorizer => "Requests about which an authorizer was called",
        Role::Authenticator | Role::Login => "Requests about which an authenticator was called",
    };
    describe_counter!(name.metric(CALLS), what);
    describe_histogram!(name.metric(CALL_SECONDS), "The duration of calls");
    describe_counter!(name.metric(ERRORS), "Calls in which the plugin failed");
    describe_counter!(
        name.metric(DENIED_READS),
        "Attributes that the plugin read without a grant"
    );
    describe_counter!(name.metric(REUSED), "Requests that got the decision of an earlier call");
    describe_counter!(name.metric(BREAKER_OPENINGS), "How often its breaker opened");
    describe_gauge!(name.metric(BREAKER_OPEN), "1 while its breaker is open for all clients");
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
    /// All plugins together keep as many, or as much of the memory, as they may.
    Engine,
    /// Its call failed.
    Failed,
    /// It keeps handles of the host.
    Handles,
    /// It has taken too much memory.
    Memory,
    /// Its plugin was replaced, or had to forget what it knew.
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

/// The metrics of the instances that a plugin keeps.
pub(crate) struct KeptMeters {
    idle: Gauge,
    reused: Counter,
    dropped: [Counter; Dropped::LABELS.len()],
}

impl KeptMeters {
    pub(crate) fn new(name: &PluginName) -> Self {
        describe_gauge!(
            name.metric(KEPT_INSTANCES),
            "Idle instances that are kept for later calls"
        );
        describe_counter!(
            name.metric(INSTANCE_REUSES),
            "Calls that an instance has served which had served one before"
        );
        describe_counter!(
            name.metric(INSTANCES_DROPPED),
            "Instances that were not kept, or not any longer"
        );
        let (role, own) = (name.role().label(), || name.to_string());
        Self {
            idle: gauge!(name.metric(KEPT_INSTANCES), role => own()),
            reused: counter!(name.metric(INSTANCE_REUSES), role => own()),
            dropped: Dropped::LABELS
                .map(|reason| counter!(name.metric(INSTANCES_DROPPED), role => own(), "reason" => reason)),
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
