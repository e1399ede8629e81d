//! The response for a client whose request is refused. It shows the status and the challenges, but not the reason.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use super::Challenge;
use super::Refusal;

/// The `Retry-After` of a 503 whose duration is unknown.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbid { .. } => StatusCode::FORBIDDEN,
            Self::Respond(response) => response.status,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether the request carried no credentials, so that a route that also serves anonymous requests forwards it.
    pub const fn lacks_credentials(&self) -> bool {
        matches!(self, Self::Unauthenticated { credentials: false, .. })
    }

    /// The response for the client: JSON `{"error": …}` with one `WWW-Authenticate` field for each challenge, or the
    /// plugin's own response. It is `Cache-Control: no-store` unless a plugin sets another value.
    pub fn into_response(self) -> Response<Bytes> {
        let status = self.status();
        match self {
            Self::Unauthenticated { challenges, .. } => {
                with_challenges(error(status, "Authentication required"), challenges)
            }
            Self::Forbid { challenge } => with_challenges(error(status, "Forbidden"), challenge),
            Self::Respond(own) => {
                let mut headers = own.headers;
                headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
                respond(status, headers, own.body)
            }
            Self::TooManyRequests { retry_after } => with_retry_after(error(status, "Too many requests"), retry_after),
            Self::Unavailable { retry_after } => {
                let response = error(status, "Authentication is unavailable");
                with_retry_after(response, retry_after.unwrap_or(RETRY_AFTER))
            }
        }
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn with_challenges(mut response: Response<Bytes>, challenges: impl IntoIterator<Item = Challenge>) -> Response<Bytes> {
    for challenge in challenges {
        response
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, challenge.as_header().clone());
    }
    response
}

/// Sets `Retry-After`, rounded up to whole seconds (RFC 9110, section 10.2.3).
fn with_retry_after(mut response: Response<Bytes>, after: Duration) -> Response<Bytes> {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

fn error(status: StatusCode, text: &str) -> Response<Bytes> {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CACHE_CONTROL, NO_STORE),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::VARY, HeaderValue::from_static("Accept, Authorization, Cookie")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let body = serde_json::json!({ "error": text }).to_string();
    respond(status, HeaderMap::from_iter(headers), Bytes::from(body))
}

fn respond(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
