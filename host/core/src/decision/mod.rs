//! What the authenticators of a route said about one request. A [`Decision`] is all that a server needs to go on or to
//! answer, and all that an operator needs to understand it afterwards.

mod challenge;
mod identity;
mod question;
mod response;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;

pub use challenge::Challenge;
pub use identity::Claims;
pub use identity::Identity;
pub use identity::MAX_ATTRIBUTE_VALUE;
pub use identity::MAX_ATTRIBUTES;
pub use identity::MAX_GROUPS;
pub use identity::MAX_IDENTITY;
pub use identity::MAX_NAME;
pub use identity::UnusableIdentity;
pub use question::Answer;
pub use question::Asked;
pub use question::Question;

/// The outcome for one request, with what each authenticator was asked and said.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the request may go on, and as whom.
    pub outcome: Outcome,
    /// One step for each authenticator that was asked, in order.
    pub steps: Vec<Step>,
}

/// Whether a request may go on.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller that forgets an outcome must not compile"
)]
pub enum Outcome {
    /// An authenticator vouches for the user.
    Grant(Authenticated),
    /// The client is answered; nothing behind the gateway sees the request.
    Refuse(Refusal),
}

/// Proof that a request was authenticated. Only a decision or an opened session makes one, so a call that takes it
/// can't be reached by a forgotten check.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(crate) identity: Identity,
    pub(crate) authenticator: Arc<str>,
    pub(crate) fingerprint: String,
    pub(crate) valid_for: Option<Duration>,
    pub(crate) response_headers: HeaderMap,
}

impl Authenticated {
    /// The user.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The name of the authenticator that vouched for the user.
    pub fn authenticator(&self) -> &str {
        &self.authenticator
    }

    /// How long this may be reused, from the moment that it was decided; none: not at all.
    pub fn valid_for(&self) -> Option<Duration> {
        self.valid_for
    }

    /// Headers that belong on the response to this request, whatever its status.
    pub fn response_headers(&self) -> &HeaderMap {
        &self.response_headers
    }
}

/// Why a request may not go on, and what its client is told.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller that forgets a refusal must not compile"
)]
pub enum Refusal {
    /// 401, with at least one challenge when any authenticator has one.
    Unauthenticated {
        /// Whether the request carried credentials that don't hold, and not just none.
        credentials: bool,
        /// The challenges to send, one `WWW-Authenticate` field each.
        challenges: Vec<Challenge>,
    },
    /// 403: a known user who may not come in.
    Forbid {
        /// The challenge to send, which may say what else is needed (RFC 6750, section 3.1).
        challenge: Option<Challenge>,
    },
    /// The authenticator's own answer.
    Respond(PluginResponse),
    /// 429: the client asks more often than it may (RFC 6585, section 4).
    TooManyRequests {
        /// How long the client should wait before it tries again.
        retry_after: Duration,
    },
    /// 503: nobody could decide. No fallback.
    Unavailable {
        /// How long the client should wait before it tries again, when that is known.
        retry_after: Option<Duration>,
    },
}

/// A response that a plugin gave, its headers checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// No hop-by-hop, framing or credential headers.
    pub headers: HeaderMap,
    /// At most 64 KiB.
    pub body: Bytes,
}

/// What one authenticator was asked and said.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step {
    /// The authenticator's name.
    pub authenticator: Arc<str>,
    /// What it said.
    pub verdict: Verdict,
    /// The questions about the request that it asked, in order, each once.
    pub asked: Vec<Asked>,
    /// How many requests to other servers it tried that are not granted. A name that leads to an address which it may
    /// not lead to is not among them: that is known too late.
    pub denied: u32,
    /// How long it took, from the semaphore to the answer.
    pub elapsed: Duration,
}

/// What an authenticator said, in words for the operator. No text of it is for the client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It vouches for this user.
    Grant {
        /// The user's name.
        user: String,
    },
    /// No credentials of its kind: the next one is asked.
    Pass,
    /// Credentials that don't hold, and why.
    Reject(String),
    /// A known user who may not come in, and why.
    Forbid(String),
    /// It answers the client itself, with this status.
    Respond(u16),
    /// It said that it can't decide, and why.
    Unavailable(String),
    /// It failed: a trap, a deadline, an answer out of bounds.
    Fail(String),
    /// It was not asked: too many calls at once, too many of one client, or too many that failed.
    TurnedAway(String),
}

impl Verdict {
    pub(crate) const LABELS: [&str; 8] = [
        "grant",
        "pass",
        "reject",
        "forbid",
        "respond",
        "unavailable",
        "fail",
        "turned_away",
    ];

    /// One word for a log field or a metric label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Pass => "pass",
            Self::Reject(_) => "reject",
            Self::Forbid(_) => "forbid",
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
            Self::Pass => f.write_str("passes: no credentials of its kind"),
            Self::Reject(why) => write!(f, "rejects the credentials: {why}"),
            Self::Forbid(why) => write!(f, "forbids: {why}"),
            Self::Respond(status) => write!(f, "answers the client itself with {status}"),
            Self::Unavailable(why) => write!(f, "can't decide: {why}"),
            Self::Fail(why) => write!(f, "failed: {why}"),
            Self::TurnedAway(why) => write!(f, "was not asked: {why}"),
        }
    }
}
