//! What a client is told when its request may not go on. It learns the status and the challenges, and nothing of why.

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

/// When a client may try again, if nobody knows better.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Refusal {
    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbid { .. } => StatusCode::FORBIDDEN,
            Self::Respond(response) => response.status,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response for the client: JSON `{"error": …}` with every challenge in a field of its own, or the plugin's own
    /// words. Unless a plugin says otherwise, no cache may keep it.
    pub fn into_response(self) -> Response<Bytes> {
        let status = self.status();
        match self {
            Self::Unauthenticated { challenges, .. } => {
                challenging(error(status, "Authentication required"), challenges)
            }
            Self::Forbid { challenge } => challenging(error(status, "Forbidden"), challenge),
            Self::Respond(own) => {
                let mut headers = own.headers;
                headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
                respond(status, headers, own.body)
            }
            Self::TooManyRequests { retry_after } => retrying(error(status, "Too many requests"), retry_after),
            Self::Unavailable { retry_after } => {
                let response = error(status, "Authentication is unavailable");
                retrying(response, retry_after.unwrap_or(RETRY_AFTER))
            }
        }
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn challenging(mut response: Response<Bytes>, challenges: impl IntoIterator<Item = Challenge>) -> Response<Bytes> {
    for challenge in challenges {
        response
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, challenge.as_header().clone());
    }
    response
}

/// Says when to try again, in whole seconds that are no less than the time (RFC 9110, section 10.2.3).
fn retrying(mut response: Response<Bytes>, after: Duration) -> Response<Bytes> {
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
