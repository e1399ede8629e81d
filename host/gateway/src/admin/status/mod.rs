//! How the gateway is: for a probe as JSON, and for an operator as a page. Both are made of the configuration in use and of the metrics
//! of the process.

mod chart;
mod distribution;
mod facts;
mod history;
mod latency;
mod page;
mod problems;
mod refusals;
mod table;

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde::Serialize;

use self::page::Page;
use self::problems::Problem;
use super::answer::Answer;
use super::answer::text;
use super::metrics::Metrics;
use super::reload::Reloads;
use crate::audit_trail::CurrentTrail;
use crate::html;

pub(crate) use self::facts::Facts;
pub(crate) use self::facts::PluginFacts;
pub(crate) use self::facts::RouteFacts;
pub(crate) use self::facts::Shows;
pub(super) use self::history::History;
pub(crate) use self::refusals::Refusals;
pub(crate) use self::refusals::Refused;

/// Tells how the gateway is. Clones tell the same.
#[derive(Clone)]
pub(super) struct Status {
    gateway: Arc<dyn Shows>,
    metrics: Metrics,
    reloads: Reloads,
    audit: CurrentTrail,
    started: SystemTime,
}

/// The answer to a probe of readiness.
#[derive(Serialize)]
struct Readiness {
    status: State,
    problems: Vec<Problem>,
}

/// Whether requests are served.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Stopping,
    /// None is, because no line of the audit log can be kept of them.
    Refusing,
    Ready,
}

impl Status {
    pub(super) fn new(gateway: Arc<dyn Shows>, metrics: Metrics, reloads: Reloads, audit: CurrentTrail) -> Self {
        Self {
            gateway,
            metrics,
            reloads,
            audit,
            started: SystemTime::now(),
        }
    }

    /// Answers a probe of readiness: 503 once the gateway stops, and while it refuses requests because no line of the audit log can be
    /// kept of them.
    pub(super) fn readiness(&self, stopping: bool) -> Answer {
        let state = self.state(stopping);
        let status = match state {
            State::Stopping | State::Refusing => StatusCode::SERVICE_UNAVAILABLE,
            State::Ready => StatusCode::OK,
        };
        let readiness = Readiness {
            status: state,
            problems: self.problems(&self.gateway.facts(), SystemTime::now()),
        };
        match serde_json::to_string_pretty(&readiness) {
            Ok(json) => typed(text(status, json + "\n"), "application/json"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// The status page.
    pub(super) fn page(&self, stopping: bool) -> Answer {
        let now = SystemTime::now();
        let facts = self.gateway.facts();
        let problems = self.problems(&facts, now);
        let refusals = self.gateway.refusals();
        let gauges = self.metrics.gauges();
        let html = self.metrics.with_history(now, |history| {
            let page = Page {
                facts: &facts,
                problems: &problems,
                gauges: &gauges,
                history,
                refusals: &refusals,
                in_use: self.reloads.in_use(),
                reload: self.reloads.last(),
                started: self.started,
                now,
                state: self.state(stopping),
            };
            page.html()
        });
        let mut response = typed(text(StatusCode::OK, html), html::MEDIA_TYPE);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(html::POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    fn state(&self, stopping: bool) -> State {
        match (stopping, self.audit.refuses()) {
            (true, _) => State::Stopping,
            (false, true) => State::Refusing,
            (false, false) => State::Ready,
        }
    }

    fn problems(&self, facts: &Facts, now: SystemTime) -> Vec<Problem> {
        let mut problems = problems::problems(facts, &self.metrics, &self.reloads, now);
        if self.audit.refuses() {
            problems.insert(0, Problem::refusing());
        }
        problems
    }
}

fn typed(mut response: Answer, media_type: &'static str) -> Answer {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
