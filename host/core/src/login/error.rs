//! Why a login gives no answer. The texts are for the operator; the user sees a page of the application.

use std::time::Duration;

use crate::plugin::TurnedAway;

/// Why a login gives no answer, with texts for the operator. No text is for the user.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a caller that forgets a reason must not compile")]
pub enum LoginError {
    /// Only the browser can tell: begin a flow that is silent after [`Login::renew`](crate::Login::renew), and one that isn't
    /// after [`Login::finish`](crate::Login::finish).
    #[error("only the browser can tell")]
    NotMine,
    /// The login failed, or the session is over.
    #[error("nobody has logged in: {0}")]
    Unauthenticated(String),
    /// Somebody has logged in who isn't allowed in.
    #[error("forbids: {0}")]
    Forbidden(String),
    /// It can't decide now, for example because the provider is down.
    #[error("can't decide: {0}")]
    Unavailable(String),
    /// It failed: a trap, an exceeded deadline, or an answer out of bounds.
    #[error("failed: {0}")]
    Failed(String),
    /// It was not called: too many calls at the same time, a rate limit, or an open circuit breaker.
    #[error("was not asked: {why}")]
    TurnedAway {
        /// The limit that is reached.
        why: String,
        /// How long the client should wait before it tries again.
        retry_after: Duration,
        /// Whether it is this client that asks too often.
        by_rate: bool,
    },
}

impl LoginError {
    /// All words of [`label`](Self::label).
    pub const LABELS: [&'static str; 6] = [
        "not_mine",
        "unauthenticated",
        "forbidden",
        "unavailable",
        "fail",
        "turned_away",
    ];

    /// A word for a log field or a metric label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotMine => "not_mine",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Unavailable(_) => "unavailable",
            Self::Failed(_) => "fail",
            Self::TurnedAway { .. } => "turned_away",
        }
    }

    pub(super) fn turned_away(why: TurnedAway) -> Self {
        Self::TurnedAway {
            retry_after: why.retry_after(),
            by_rate: matches!(why, TurnedAway::Rate { .. }),
            why: why.to_string(),
        }
    }
}
