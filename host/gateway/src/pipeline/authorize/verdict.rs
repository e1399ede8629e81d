//! What an upstream's answer to a question means, how long it counts, and what the client hears.

use std::time::Duration;

use http::Response;
use http::StatusCode;

use crate::answers::response;
use crate::proxy::body::Body;

/// What an upstream says of a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UpstreamVerdict {
    /// 2xx.
    Allow,
    /// 401 or 403.
    Forbid,
    /// 404.
    NotFound,
    /// Anything else, or nothing.
    Unavailable,
}

impl UpstreamVerdict {
    pub(super) fn of(status: StatusCode) -> Result<Self, String> {
        match status {
            status if status.is_success() => Ok(Self::Allow),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Self::Forbid),
            StatusCode::NOT_FOUND => Ok(Self::NotFound),
            status => Err(format!("it answered {status}")),
        }
    }

    /// How long it counts, where a allowed counts this long.
    pub(super) fn lifetime(self, allowed: Duration) -> Duration {
        match self {
            Self::Allow => allowed,
            Self::Forbid | Self::NotFound => allowed.min(MAX_DENIAL_LIFETIME),
            Self::Unavailable => Duration::ZERO,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid => "forbid",
            Self::NotFound => "not_found",
            Self::Unavailable => "unavailable",
        }
    }

    /// What a client hears who may not go on.
    pub(super) fn refusal(self) -> Option<Response<Body>> {
        match self {
            Self::Allow => None,
            Self::Forbid => Some(response::error(StatusCode::FORBIDDEN, "Forbidden")),
            Self::NotFound => Some(response::error(StatusCode::NOT_FOUND, "Not found")),
            Self::Unavailable => Some(response::unavailable("Authorization is unavailable")),
        }
    }
}

/// How long a no counts at most: somebody who was just let in shouldn't wait.
const MAX_DENIAL_LIFETIME: Duration = Duration::from_secs(1);
