//! What one authenticator rules about a request, and what follows for the chain.

use http::HeaderMap;

use super::Challenge;
use super::Outcome;
use super::Refusal;
use super::Verdict;

/// The result of one authenticator.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    /// What follows.
    pub(crate) next: Next,
    /// The result in words for the operator.
    pub(crate) verdict: Verdict,
}

/// What follows after one authenticator.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// The next authenticator is called. The challenge is for the client if all of them pass.
    Continue(Option<Challenge>),
    /// The chain ends with this outcome.
    Stop(Outcome),
}

impl Ruling {
    /// Whether it identifies a user.
    pub(crate) fn is_grant(&self) -> bool {
        matches!(self.next, Next::Stop(Outcome::Grant(_)))
    }

    /// The approximate size of its texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        let next = match &self.next {
            Next::Continue(challenge) => challenge.iter().map(Challenge::size).sum(),
            Next::Stop(Outcome::Grant(user)) => user.identity().size() + headers(user.response_headers()),
            Next::Stop(Outcome::Refuse(refusal)) => match refusal {
                Refusal::Unauthenticated { challenges, .. } => challenges.iter().map(Challenge::size).sum(),
                Refusal::Forbid { challenge } => challenge.iter().map(Challenge::size).sum(),
                Refusal::Respond(response) => headers(&response.headers) + response.body.len(),
                Refusal::TooManyRequests { .. } | Refusal::Unavailable { .. } => 0,
            },
        };
        next + self.verdict.reason().map_or(0, str::len)
    }
}

fn headers(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}
