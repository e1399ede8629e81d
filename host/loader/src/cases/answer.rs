//! What a plugin decided about a request, in the form in which a file expects it.

use std::time::Duration;

use http::StatusCode;
use http::header;
use portcullis::Decision;
use portcullis::decision::Attribute;
use portcullis::decision::Authorization;
use portcullis::decision::Identity;
use portcullis::decision::Outcome;
use portcullis::decision::Permit;
use portcullis::decision::Refusal;
use portcullis::decision::Step;

/// The answer of a plugin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The status of the gateway's response. It is 200 if the request is granted: the upstream decides then.
    pub status: StatusCode,
    /// The user. `None` if the request isn't granted, or if an authorizer was asked.
    pub user: Option<Identity>,
    /// What an authorizer permits. `None` if it doesn't, or if an authenticator was asked.
    pub permit: Option<Permit>,
    /// The values of `WWW-Authenticate`.
    pub challenges: Vec<String>,
    /// What the plugin read of the request, and whether it is granted.
    pub reads: Vec<(Attribute, bool)>,
    /// The word for the verdict in the audit log.
    pub verdict: &'static str,
    /// The verdict and its reason as a sentence without its subject.
    pub sentence: String,
    /// What the plugin, and the host about it, logged at WARN and above.
    pub warnings: Vec<String>,
    /// How many bytes of memory the plugin had at the end of the call.
    pub memory: usize,
    /// How many of its requests to other servers were denied.
    pub denied: u32,
    /// How long the call took.
    pub elapsed: Duration,
}

impl Answer {
    /// The answer of a chain of one authenticator.
    pub fn of(decision: Decision) -> Self {
        let (status, user, challenges) = match decision.outcome {
            Outcome::Grant(user) => (StatusCode::OK, Some(user.identity().clone()), Vec::new()),
            Outcome::Refuse(refusal) => {
                let (status, challenges) = told(refusal);
                (status, None, challenges)
            }
        };
        Self {
            user,
            ..Self::of_step(decision.steps, status, challenges)
        }
    }

    /// The answer of an authorizer.
    pub fn of_authorizer(authorization: Authorization) -> Self {
        let (status, permit, challenges) = match authorization.outcome {
            Ok(permits) => (StatusCode::OK, permits.iter().next().cloned(), Vec::new()),
            Err(refusal) => {
                let (status, challenges) = told(refusal);
                (status, None, challenges)
            }
        };
        Self {
            permit,
            ..Self::of_step(authorization.steps, status, challenges)
        }
    }

    /// Whether the request goes on: its user is known, or an authorizer permits it.
    pub const fn lets_pass(&self) -> bool {
        self.user.is_some() || self.permit.is_some()
    }

    fn of_step(steps: Vec<Step>, status: StatusCode, challenges: Vec<String>) -> Self {
        let step = steps.into_iter().next();
        Self {
            status,
            user: None,
            permit: None,
            challenges,
            reads: step
                .iter()
                .flat_map(|step| step.reads.iter())
                .map(|read| (read.attribute.clone(), read.granted))
                .collect(),
            verdict: step.as_ref().map_or("", |step| step.verdict.label()),
            sentence: step.as_ref().map(|step| step.verdict.to_string()).unwrap_or_default(),
            memory: step.as_ref().map(|step| step.memory).unwrap_or_default(),
            denied: step.as_ref().map(|step| step.denied).unwrap_or_default(),
            elapsed: step.as_ref().map(|step| step.elapsed).unwrap_or_default(),
            warnings: step.map(|step| step.warnings).unwrap_or_default(),
        }
    }
}

/// The status and the challenges of the gateway's response.
fn told(refusal: Refusal) -> (StatusCode, Vec<String>) {
    let response = refusal.into_response();
    let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let challenges = challenges.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    (response.status(), challenges.collect())
}
