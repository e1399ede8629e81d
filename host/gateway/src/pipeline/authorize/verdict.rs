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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_what_the_client_gets_and_for_how_long() {
        const LONG: Duration = Duration::from_secs(60);
        for (status, label, lifetime, refusal, words) in [
            (200, "allow", LONG, None, "it allows the request"),
            (204, "allow", LONG, None, "it allows the request"),
            (
                401,
                "forbid",
                MAX_DENIAL_LIFETIME,
                Some(403),
                "it answered 401 Unauthorized",
            ),
            (
                403,
                "forbid",
                MAX_DENIAL_LIFETIME,
                Some(403),
                "it answered 403 Forbidden",
            ),
            (
                404,
                "not_found",
                MAX_DENIAL_LIFETIME,
                Some(404),
                "it answered 404 Not Found",
            ),
        ] {
            let verdict = UpstreamVerdict::of(StatusCode::from_u16(status).unwrap()).unwrap();
            assert_eq!((verdict.label(), verdict.lifetime(LONG)), (label, lifetime), "{status}");
            let refused = verdict.refusal().map(|response| response.status().as_u16());
            assert_eq!((refused, verdict.to_string().as_str()), (refusal, words), "{status}");
        }
        for status in [100, 302, 400, 500] {
            assert!(
                UpstreamVerdict::of(StatusCode::from_u16(status).unwrap()).is_err(),
                "{status}"
            );
        }
        let unavailable = UpstreamVerdict::Unavailable("no answer".into());
        assert_eq!(unavailable.lifetime(LONG), Duration::ZERO);
        assert_eq!(
            unavailable.refusal().map(|response| response.status().as_u16()),
            Some(503)
        );
        assert_eq!(
            (unavailable.label(), unavailable.to_string().as_str()),
            ("unavailable", "no answer")
        );
    }
}
