//! Why there is no user. Which refusal an authenticator gives decides whether the next one is asked, so each variant
//! says when it is the right one.

use crate::Challenge;
use crate::Response;

/// Why there is no user. Every text is for the operator's log: the client sees the status and the challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// A known user who may not come in: 403. The challenge may say what else is needed (RFC 6750, section 3.1).
    Forbidden(String, Option<Challenge>),
    /// The request carries no credentials of this authenticator's kind: the next one is asked. When all pass, the
    /// client gets 401 with every challenge.
    NotMine(Option<Challenge>),
    /// The authenticator answers the client itself: a redirect to a login page, say.
    Respond(Response),
    /// Credentials of this kind, and they don't hold: 401. No later authenticator is asked.
    Unauthenticated(String, Option<Challenge>),
    /// It could not decide, because its identity provider is down, say: 503, and never a fallback.
    Unavailable(String),
}

impl Refusal {
    /// The request has no credentials of this kind; see [`NotMine`](Self::NotMine).
    pub fn not_mine(challenge: impl Into<Option<Challenge>>) -> Self {
        Self::NotMine(challenge.into())
    }

    /// The credentials don't hold; see [`Unauthenticated`](Self::Unauthenticated).
    pub fn unauthenticated(reason: impl Into<String>, challenge: impl Into<Option<Challenge>>) -> Self {
        Self::Unauthenticated(reason.into(), challenge.into())
    }

    /// The user may not come in; see [`Forbidden`](Self::Forbidden).
    pub fn forbidden(reason: impl Into<String>, challenge: impl Into<Option<Challenge>>) -> Self {
        Self::Forbidden(reason.into(), challenge.into())
    }

    /// The client gets this answer; see [`Respond`](Self::Respond).
    pub const fn respond(response: Response) -> Self {
        Self::Respond(response)
    }

    /// It can't be decided now; see [`Unavailable`](Self::Unavailable).
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }
}
