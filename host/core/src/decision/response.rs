//! What a client is told when its request may not go on. It learns the status and the challenges, and nothing of why.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use super::Challenge;
use super::Refusal;

/// When a client may try again, if nobody knows better. In seconds.
const RETRY_AFTER: u64 = 5;

impl Refusal {
    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbid { .. } => StatusCode::FORBIDDEN,
            Self::Respond(response) => response.status,
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
            Self::Unavailable { retry_after } => {
                let seconds = retry_after.map_or(RETRY_AFTER, |wait| wait.as_secs().max(1));
                let mut response = error(status, "Authentication is unavailable");
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
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
