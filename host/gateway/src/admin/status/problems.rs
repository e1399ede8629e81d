//! What is wrong now, as the probe of readiness and the status page tell it. None of it makes the gateway unready: other routes go on,
//! and another gateway with the same configuration would have the same problem.

use std::collections::BTreeMap;
use std::time::SystemTime;

use metrics::Key;
use serde::Serialize;

use super::facts::Facts;
use crate::admin::metrics::Metrics;
use crate::admin::reload::Reloads;
use crate::shared_state::UNCERTAIN;

/// Something that doesn't work.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Problem {
    /// What it is about, such as `authenticator tokens`.
    pub(super) part: String,
    /// What is wrong with it.
    pub(super) problem: String,
}

impl Problem {
    fn new(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            problem: problem.into(),
        }
    }
}

impl Problem {
    /// Of the audit log, of which the gateway may lose no line.
    pub(super) fn refusing() -> Self {
        Self::new(
            "audit",
            "requests are refused, because too many lines wait to be written",
        )
    }
}

/// All problems, those of the configuration first.
pub(super) fn problems(facts: &Facts, metrics: &Metrics, reloads: &Reloads, now: SystemTime) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(why) = reloads.trouble() {
        problems.push(Problem::new("configuration", why.trim_end()));
    }
    let disabled = facts.plugins.iter().filter_map(|plugin| {
        let why = plugin.disabled.as_deref()?;
        Some(Problem::new(format!("{} {}", plugin.role, plugin.name), why))
    });
    problems.extend(disabled);
    let gauges = metrics.gauges();
    let mut measured = Vec::from_iter(gauges.iter().filter_map(|(key, value)| of_gauge(key, *value, now)));
    measured.extend(upstreams(&gauges));
    measured.sort_by(|a, b| a.part.cmp(&b.part));
    problems.extend(measured);
    problems
}

fn of_gauge(key: &Key, value: f64, now: SystemTime) -> Option<Problem> {
    match key.name() {
        "portcullis_shared_state_up" if value == 0.0 => {
            let problem = "its server doesn't answer, so caches and rates are those of this gateway alone";
            return Some(Problem::new("shared state", problem));
        }
        UNCERTAIN if value > 0.0 => {
            let problem = "none is accepted, because the shared state has been lost for too long (stale_revocations)";
            return Some(Problem::new("sessions", problem));
        }
        _ => {}
    }
    let label = key.labels().next()?;
    let (name, part) = (key.name(), format!("{} {}", label.key(), label.value()));
    match name {
        "portcullis_authenticator_breaker_open" | "portcullis_authorizer_breaker_open" if value > 0.0 => {
            Some(Problem::new(
                part,
                "its circuit breaker is open for everybody, so few of its calls run",
            ))
        }
        CERTIFICATE => {
            let left = value
                - now
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs_f64();
            match left {
                ..0.0 => Some(Problem::new(part, "has expired")),
                ..WARNING => Some(Problem::new(part, format!("expires in {} days", (left / DAY).floor()))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The upstreams of which no server is healthy.
fn upstreams(gauges: &[(Key, f64)]) -> impl Iterator<Item = Problem> + use<> {
    let mut healthy = BTreeMap::<String, f64>::new();
    for (key, value) in gauges {
        let upstream = key.labels().find(|label| label.key() == "upstream");
        if let (HEALTHY, Some(upstream)) = (key.name(), upstream) {
            *healthy.entry(upstream.value().to_owned()).or_default() += value;
        }
    }
    let dead = healthy.into_iter().filter(|(_, healthy)| *healthy == 0.0);
    dead.map(|(name, _)| Problem::new(format!("upstream {name}"), "none of its servers is healthy"))
}

pub(super) const CERTIFICATE: &str = "portcullis_certificate_expires_at_seconds";
pub(super) const HEALTHY: &str = "portcullis_upstream_healthy";
const DAY: f64 = 24.0 * 3600.0;
const WARNING: f64 = 14.0 * DAY;
