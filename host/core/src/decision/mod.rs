//! The decision about one request: whether it is authenticated and as which user, and whether it may be made. It tells the
//! server how to respond, and the operator what each plugin read and returned.

mod attribute;
mod challenge;
mod grpc;
mod identity;
mod permit;
mod response;
mod ruling;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;

use crate::role::Role;
pub use attribute::Attribute;
pub use attribute::AttributeRead;
pub use attribute::AttributeValue;
pub use challenge::Challenge;
pub(crate) use grpc::is_grpc;
pub use identity::Claims;
pub use identity::Identity;
pub use identity::MAX_ATTRIBUTE_NAME;
pub use identity::MAX_ATTRIBUTE_VALUE;
pub use identity::MAX_ATTRIBUTES;
pub use identity::MAX_GROUP;
pub use identity::MAX_GROUPS;
pub use identity::MAX_IDENTITY;
pub use identity::MAX_NAME;
pub use identity::UnusableIdentity;
pub(crate) use identity::check_attributes;
pub use permit::Authorization;
pub use permit::Permit;
pub use permit::Permits;
pub(crate) use ruling::Next;
pub(crate) use ruling::Ruling;

/// The outcome for one request, and one step for each authenticator that was called.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the request is authenticated, and as which user.
    pub outcome: Outcome,
    /// One step for each authenticator that was called, in order.
    pub steps: Vec<Step>,
}

/// Whether a request is authenticated.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller that forgets an outcome must not compile"
)]
pub enum Outcome {
    /// An authenticator or a session identifies the user.
    Grant(Authenticated),
    /// The client gets an error or the plugin's own response, and the request is not forwarded.
    Refuse(Refusal),
}

impl Outcome {
    /// The user. `None` unless the request is admitted.
    pub fn user(&self) -> Option<&Authenticated> {
        match self {
            Self::Grant(user) => Some(user),
            Self::Refuse(_) => None,
        }
    }
}

/// Proof that a request was authenticated. Only a decision or a session creates it, so that a function with a parameter
/// of this type can't be called without the check.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(crate) identity: Arc<Identity>,
    pub(crate) authenticator: Arc<str>,
    pub(crate) fingerprint: Arc<str>,
    pub(crate) valid_for: Option<Duration>,
    pub(crate) response_headers: HeaderMap,
}

impl Authenticated {
    /// The user.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The name of the authenticator that identified the user.
    pub fn authenticator(&self) -> &str {
        &self.authenticator
    }

    /// How long this result may be reused for other requests, counted from the decision. `None` if it may not be
    /// reused.
    pub fn valid_for(&self) -> Option<Duration> {
        self.valid_for
    }

    /// Header fields that the authenticator adds to the response, whatever its status.
    /// [`ResponseHeaders::apply`](crate::ResponseHeaders::apply) writes them.
    pub fn response_headers(&self) -> &HeaderMap {
        &self.response_headers
    }
}

/// Why a request is refused. [`Refusal::into_response`] writes the response for the client.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller that forgets a refusal must not compile"
)]
pub enum Refusal {
    /// 401: the request has no valid credentials (RFC 9110, section 15.5.2).
    Unauthenticated {
        /// Whether the request carried credentials, which are invalid. `false` if it carried none.
        credentials: bool,
        /// The challenges for the client, one `WWW-Authenticate` field for each. They are empty if no authenticator has
        /// a challenge.
        challenges: Vec<Challenge>,
    },
    /// 403: the user is known and is denied access.
    Forbid {
        /// The challenge for the client. It may name what is missing, such as a scope (RFC 6750, section 3.1).
        challenge: Option<Challenge>,
    },
    /// 404: the user is denied access, and must not learn that there is something (RFC 9110, section 15.5.5).
    Hide,
    /// A response that the plugin wrote, such as a redirect.
    Respond(PluginResponse),
    /// 429: the client exceeds its rate limit (RFC 6585, section 4).
    TooManyRequests {
        /// How long the client should wait before it tries again.
        retry_after: Duration,
    },
    /// 503: the plugin failed or is overloaded. No other one is called.
    Unavailable {
        /// What the plugin is for.
        role: Role,
        /// How long the client should wait before it tries again. `None` if that is unknown.
        retry_after: Option<Duration>,
    },
}

/// A response that a plugin wrote, after its status, headers and size were checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginResponse {
    /// The status: 200 to 599.
    pub status: StatusCode,
    /// The header fields, without `Host`, hop-by-hop and framing headers.
    pub headers: HeaderMap,
    /// The body: at most 64 KiB.
    pub body: Bytes,
}

/// One plugin's part in a decision: what it read and what it returned.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step {
    /// The name of the authenticator or authorizer.
    pub name: Arc<str>,
    /// The result.
    pub verdict: Verdict,
    /// The attributes of the request that it read, in order, each once.
    pub reads: Arc<[AttributeRead]>,
    /// How long ago its call began, if the result is that of an earlier call about a request with the same values of all these
    /// attributes, and of the same user if it is an authorizer. `None` if it was called.
    pub reused: Option<Duration>,
    /// For how long the result of this call is kept for such requests. `None` if it isn't, or if the result is itself that of
    /// an earlier call.
    pub kept: Option<Duration>,
    /// How many of its requests to other servers were denied because no grant covers them. A request to a granted name
    /// that resolves to a forbidden address is not counted.
    pub denied: u32,
    /// The lines of the level WARN and above about the call: what it logged, what it wrote to stderr, and what the host says
    /// of its requests to other servers. At most 32.
    pub warnings: Vec<String>,
    /// How many bytes of memory its instance had at the end of the call. Zero if there was no instance.
    pub memory: usize,
    /// How many requests its instance had served before. Zero if the instance was new.
    pub served: u32,
    /// How long the call took, or finding the result of the earlier one.
    pub elapsed: Duration,
}

/// The result of one plugin, with texts for the operator. No text is shown to the client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It identified this user.
    Grant {
        /// The user's name.
        user: String,
    },
    /// The request has no credentials of its kind. The next authenticator is called. The text is the
    /// `error_description` of its challenge, `None` if the challenge has none.
    Pass(Option<String>),
    /// The credentials are invalid, for this reason.
    Reject(String),
    /// The user is known and is denied access, for this reason.
    Forbid(String),
    /// The user is denied access, and must not learn that there is something, for this reason. An authorizer says so.
    Hide(String),
    /// The request may be made. An authorizer says so.
    Permit,
    /// It wrote its own response, with this status.
    Respond(u16),
    /// It can't decide now, for this reason.
    Unavailable(String),
    /// It failed: a trap, an exceeded deadline, or an answer out of bounds.
    Fail(String),
    /// It was not called: too many calls at the same time, a rate limit, or an open circuit breaker.
    TurnedAway(String),
}

impl Verdict {
    /// Every word that [`Verdict::label`] returns.
    pub const LABELS: [&str; 10] = [
        "grant",
        "pass",
        "reject",
        "forbid",
        "hide",
        "permit",
        "respond",
        "unavailable",
        "fail",
        "turned_away",
    ];

    /// The reason that the plugin or the gateway has given. `None` if there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Grant { .. } | Self::Permit | Self::Respond(_) => None,
            Self::Pass(why) => why.as_deref(),
            Self::Reject(why)
            | Self::Forbid(why)
            | Self::Hide(why)
            | Self::Unavailable(why)
            | Self::Fail(why)
            | Self::TurnedAway(why) => Some(why),
        }
    }

    /// A word for a log field or a metric label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Pass(_) => "pass",
            Self::Reject(_) => "reject",
            Self::Forbid(_) => "forbid",
            Self::Hide(_) => "hide",
            Self::Permit => "permit",
            Self::Respond(_) => "respond",
            Self::Unavailable(_) => "unavailable",
            Self::Fail(_) => "fail",
            Self::TurnedAway(_) => "turned_away",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant { user } => write!(f, "grants user {user:?}"),
            Self::Pass(why) => write!(f, "passes: {}", why.as_deref().unwrap_or("no credentials of its kind")),
            Self::Reject(why) => write!(f, "rejects the credentials: {why}"),
            Self::Forbid(why) => write!(f, "forbids: {why}"),
            Self::Hide(why) => write!(f, "hides: {why}"),
            Self::Permit => f.write_str("permits"),
            Self::Respond(status) => write!(f, "answers the client itself with {status}"),
            Self::Unavailable(why) => write!(f, "can't decide: {why}"),
            Self::Fail(why) => write!(f, "failed: {why}"),
            Self::TurnedAway(why) => write!(f, "was not asked: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verdict whose label isn't known is counted by no metric.
    #[test]
    fn every_verdict_has_a_known_label_of_its_own_and_its_reason() {
        let why = || "why".to_owned();
        let verdicts = [
            (Verdict::Grant { user: "alice".into() }, None),
            (Verdict::Pass(Some(why())), Some("why")),
            (Verdict::Reject(why()), Some("why")),
            (Verdict::Forbid(why()), Some("why")),
            (Verdict::Hide(why()), Some("why")),
            (Verdict::Permit, None),
            (Verdict::Respond(302), None),
            (Verdict::Unavailable(why()), Some("why")),
            (Verdict::Fail(why()), Some("why")),
            (Verdict::TurnedAway(why()), Some("why")),
        ];
        assert_eq!(verdicts.each_ref().map(|(verdict, _)| verdict.label()), Verdict::LABELS);
        for (verdict, reason) in verdicts {
            assert_eq!(verdict.reason(), reason, "{verdict}");
        }
        assert_eq!(Verdict::Pass(None).reason(), None);
    }
}
