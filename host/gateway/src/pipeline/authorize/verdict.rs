//! What an upstream's answer to an authorization request means: how long it is cached, and what the client gets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::StatusCode;

use crate::answers::response;
use crate::proxy::body::Body;

/// An upstream's verdict about a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum UpstreamVerdict {
    /// 2xx.
    Allow,
    /// 401 or 403.
    Forbid(StatusCode),
    /// 404.
    NotFound,
    /// Any other status, or no response, for this reason.
    Unavailable(Arc<str>),
}

impl UpstreamVerdict {
    pub(super) fn of(status: StatusCode) -> Result<Self, String> {
        match status {
            status if status.is_success() => Ok(Self::Allow),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Self::Forbid(status)),
            StatusCode::NOT_FOUND => Ok(Self::NotFound),
            status => Err(format!("it answered {status}")),
        }
    }

    /// How long the verdict is cached, if [`Self::Allow`] is cached for `allowed`.
    pub(super) fn lifetime(&self, allowed: Duration) -> Duration {
        match self {
            Self::Allow => allowed,
            Self::Forbid(_) | Self::NotFound => allowed.min(MAX_DENIAL_LIFETIME),
            Self::Unavailable(_) => Duration::ZERO,
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid(_) => "forbid",
            Self::NotFound => "not_found",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// The response to the client. `None` for [`Self::Allow`].
    pub(super) fn refusal(&self) -> Option<Response<Body>> {
        match self {
            Self::Allow => None,
            Self::Forbid(_) => Some(response::error(StatusCode::FORBIDDEN, "Forbidden")),
            Self::NotFound => Some(response::error(StatusCode::NOT_FOUND, "Not found")),
            Self::Unavailable(_) => Some(response::unavailable("Authorization is unavailable")),
        }
    }
}

impl fmt::Display for UpstreamVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("it allows the request"),
            Self::Forbid(status) => write!(f, "it answered {status}"),
            Self::NotFound => write!(f, "it answered {}", StatusCode::NOT_FOUND),
            Self::Unavailable(why) => f.write_str(why),
        }
    }
}

/// How long a denial is cached at most. A user who has just been given access should not have to wait.
const MAX_DENIAL_LIFETIME: Duration = Duration::from_secs(1);
