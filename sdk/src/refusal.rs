//! Reasons why a request has no user. They decide whether the next authenticator is asked, so each variant says when to
//! use it.

use crate::Challenge;
use crate::Response;

/// Why a request has no user. The texts go to the operator's log; the client only sees the status and the challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The user is known but not allowed in: 403. The challenge may say what else is needed (RFC 6750, section 3.1).
    Forbidden(String, Option<Challenge>),
    /// The request carries no credentials of this authenticator's kind, so the next authenticator is asked. If all of
    /// them return this, the client gets 401 with every challenge.
    NotMine(Option<Challenge>),
    /// The authenticator answers the client itself, for example with a redirect to a login page.
    Respond(Response),
    /// The request carries credentials of this kind, but they are not valid: 401. No later authenticator is asked.
    Unauthenticated(String, Option<Challenge>),
    /// The authenticator could not decide, for example because its identity provider is down: 503. No later
    /// authenticator is asked.
    Unavailable(String),
}

impl Refusal {
    /// The request has no credentials of this kind; see [`NotMine`](Self::NotMine).
    pub fn not_mine(challenge: impl Into<Option<Challenge>>) -> Self {
        Self::NotMine(challenge.into())
    }

    /// The credentials are not valid; see [`Unauthenticated`](Self::Unauthenticated).
    pub fn unauthenticated(reason: impl Into<String>, challenge: impl Into<Option<Challenge>>) -> Self {
        Self::Unauthenticated(reason.into(), challenge.into())
    }

    /// The user is not allowed in; see [`Forbidden`](Self::Forbidden).
    pub fn forbidden(reason: impl Into<String>, challenge: impl Into<Option<Challenge>>) -> Self {
        Self::Forbidden(reason.into(), challenge.into())
    }

    /// The client gets this response; see [`Respond`](Self::Respond).
    pub const fn respond(response: Response) -> Self {
        Self::Respond(response)
    }

    /// The authenticator can't decide at the moment; see [`Unavailable`](Self::Unavailable).
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }
}
