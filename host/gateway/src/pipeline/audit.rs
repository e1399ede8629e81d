//! The audit log: one line for every decision, so that an operator can find out later who was admitted and why. A line
//! names the facts that a plugin has read, but never their values: it contains no header, cookie or token.

use std::fmt::Write as _;
use std::time::Duration;

use http::Method;
use http::StatusCode;
use portcullis::Renewal;
use portcullis::decision::Authenticated;
use portcullis::decision::Outcome;
use portcullis::decision::Refusal;
use portcullis::decision::Step;
use portcullis::decision::Verdict;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use crate::one_line::one_line;
use crate::pipeline::decisions::Decider;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::sender::Decided;
use crate::pipeline::target::Target;

/// The request that a line is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// `None` for a request that no client has sent.
    pub(crate) id: Option<&'a RequestId>,
    pub(crate) client: &'a Client,
    pub(crate) method: &'a Method,
    pub(crate) route: &'a str,
    pub(crate) target: &'a Target,
}

/// Why somebody whom the authenticators let pass may not enter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Denial<'a> {
    /// A word for the outcome. Who denies: `route` for its requirements, `authorizer` for a plugin, `upstream` for its answer to an
    /// authorization request, or `origin` for the page that opens a WebSocket.
    pub(crate) decider: Decider,
    /// The authorization request. `None` unless the upstream decided.
    pub(crate) asked: Option<&'a str>,
    /// The name of the authorizer. `None` unless one decided.
    pub(crate) authorizer: Option<&'a str>,
    /// What each authorizer was asked and said. `None` if none was asked.
    pub(crate) steps: Option<&'a str>,
    /// What was required, and what was found.
    pub(crate) why: &'a str,
    /// The status of the response.
    pub(crate) status: StatusCode,
}

impl Denial<'_> {
    /// A denial with the status 403 and without a reason.
    pub(crate) const fn new(decider: Decider) -> Self {
        Self {
            decider,
            asked: None,
            authorizer: None,
            steps: None,
            why: "",
            status: StatusCode::FORBIDDEN,
        }
    }
}

/// What authorizers say who permit a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permitted<'a> {
    /// What each was asked and said.
    pub(crate) steps: &'a [Step],
    /// How long all of them took.
    pub(crate) elapsed: Duration,
}

impl Entry<'_> {
    /// Logs a decision. Each failure of an authenticator gets a warning of its own.
    ///
    /// `claimed` is the user whom the credentials of a refused request name. `status` is the status of the gateway's own
    /// response, `None` if the authenticators let the request pass. `elapsed` is how long they took. `permitted` is what
    /// authorizers say who permit it.
    pub(crate) fn decided(
        self,
        decided: &Decided,
        claimed: Option<&str>,
        status: Option<StatusCode>,
        elapsed: Duration,
        permitted: Option<Permitted<'_>>,
    ) {
        let Decided {
            decision,
            session,
            session_error,
            renewal,
            due,
        } = decided;
        self.warn_of_failures("authenticator", &decision.steps);
        if let Some(Renewal::Kept(why) | Renewal::Unavailable(why)) = renewal {
            tracing::warn!(
                target: "portcullis::audit",
                request_id = self.id.map(RequestId::as_str),
                login = due,
                why = &*one_line(why),
                route = self.route,
                "a login could not say whether a session goes on"
            );
        }
        let user = decision.outcome.user();
        tracing::info!(
            target: "portcullis::audit",
            request_id = self.id.map(RequestId::as_str),
            method = %self.method,
            path = %self.target.path,
            route = self.route,
            client = %self.client.shown_address(),
            outcome = outcome(&decision.outcome, status),
            status = status.map(|status| status.as_u16()),
            user = user.map(|user| one_line(user.identity().name())).as_deref(),
            claimed_user = claimed.map(one_line).as_deref(),
            authenticator = user.map(|user| user.authenticator()),
            session = session.is_some(),
            session_id = session.map(|id| id.to_string()),
            session_refused = session_error.map(|error| error.to_string()),
            session_renewal = renewal.as_ref().map(Renewal::label),
            session_renewal_why = renewal.as_ref().and_then(Renewal::reason).map(one_line).as_deref(),
            steps = steps_text(&decision.steps),
            duration_us = micros(elapsed),
            authorizer_steps = permitted.map(|permitted| steps_text(permitted.steps)),
            authorizer_us = permitted.map(|permitted| micros(permitted.elapsed)),
            "decision"
        );
    }

    /// Logs that somebody whom the authenticators let pass was denied. The user is `None` for a request without credentials.
    pub(crate) fn denied(self, user: Option<&Authenticated>, denial: &Denial<'_>) {
        tracing::info!(
            target: "portcullis::audit",
            request_id = self.id.map(RequestId::as_str),
            method = %self.method,
            path = %self.target.path,
            route = self.route,
            client = %self.client.shown_address(),
            user = user.map(|user| one_line(user.identity().name())).as_deref(),
            authenticator = user.map(|user| user.authenticator()),
            denied_by = denial.decider.by,
            authorizer = denial.authorizer,
            asked = denial.asked,
            why = &*one_line(denial.why),
            outcome = denial.decider.outcome,
            status = denial.status.as_u16(),
            steps = denial.steps,
            "the user was denied"
        );
    }

    /// Logs that a request is forwarded with credentials that the upstream verifies.
    pub(crate) fn forwarded_unverified(self, scheme: &str) {
        tracing::info!(
            target: "portcullis::audit",
            request_id = self.id.map(RequestId::as_str),
            method = %self.method,
            path = %self.target.path,
            route = self.route,
            client = %self.client.shown_address(),
            outcome = "upstream_credentials",
            scheme,
            "decision"
        );
    }

    /// Each failure of a plugin in this role gets a warning of its own.
    pub(crate) fn warn_of_failures(self, role: &str, steps: &[Step]) {
        for step in steps {
            self.warn_of_failure(role, step);
        }
    }

    fn warn_of_failure(self, role: &str, step: &Step) {
        if let Verdict::Fail(why) | Verdict::Unavailable(why) = &step.verdict {
            tracing::warn!(
                target: "portcullis::audit",
                request_id = self.id.map(RequestId::as_str),
                authenticator = (role == "authenticator").then_some(&*step.name),
                authorizer = (role == "authorizer").then_some(&*step.name),
                verdict = step.verdict.label(),
                why = &*one_line(why),
                route = self.route,
                "an {role} could not decide"
            );
        }
    }
}

/// Logs a request that was rejected before any authenticator was asked.
pub(crate) fn rejected(id: Option<&RequestId>, client: &Client, method: &Method, path: &str, why: &Rejection) {
    tracing::info!(
        target: "portcullis::audit",
        request_id = id.map(RequestId::as_str),
        method = %method,
        path = &*one_line(&path.chars().take(MAX_PATH).collect::<String>()),
        client = %client.shown_address(),
        outcome = "unserved",
        status = why.status().as_u16(),
        why = %why,
        "request refused"
    );
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// How much of a rejected path is logged, in characters.
const MAX_PATH: usize = 256;

fn outcome(outcome: &Outcome, status: Option<StatusCode>) -> &'static str {
    match outcome {
        Outcome::Grant(_) => "grant",
        Outcome::Refuse(Refusal::Unauthenticated { .. }) if status.is_none() => "anonymous",
        Outcome::Refuse(refusal) => refusal_outcome(refusal),
    }
}

/// A word for a refusal.
pub(crate) const fn refusal_outcome(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated { .. } => "unauthenticated",
        Refusal::Forbid { .. } => "forbid",
        Refusal::Hide => "hide",
        Refusal::Respond(_) => "respond",
        Refusal::TooManyRequests { .. } => "too_many_requests",
        Refusal::Unavailable { .. } => "unavailable",
    }
}

/// Every plugin with its verdict and what it has read: `hub: reject "unknown token" [header authorization]`.
pub(crate) fn steps_text(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a string can't fail.
        let _ = write!(text, "{separator}{}: {}", step.name, step.verdict.label());
        if let Some(why) = step.verdict.reason() {
            // Without quotation marks inside, no text of a plugin can imitate the closing one.
            let _ = write!(text, " \"{}\"", one_line(why).replace('"', "'"));
        }
        text.push_str(" [");
        for (index, read) in step.reads.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let denied = if read.granted { "" } else { " (not granted)" };
            let _ = write!(text, "{separator}{}{denied}", read.attribute);
        }
        text.push(']');
        if let Some(age) = step.reused {
            let _ = write!(text, " (reused, {} ms old)", age.as_millis());
        }
        if step.denied > 0 {
            let _ = write!(text, " (outbound requests denied: {})", step.denied);
        }
    }
    text
}
