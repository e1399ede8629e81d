//! What a client is told when its request may not go on. It learns the status and the challenges, and nothing of why.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use super::Refusal;

impl Refusal {
    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbid => StatusCode::FORBIDDEN,
            Self::Respond(response) => response.status,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response for the client: JSON `{"error": …}` with every challenge in a field of its own, or the plugin's own
    /// words. No cache may keep it.
    pub fn into_response(self) -> Response<Bytes> {
        let status = self.status();
        match self {
            Self::Unauthenticated {
                credentials,
                challenges,
            } => {
                let text = if credentials {
                    "The credentials are not valid"
                } else {
                    "Authentication required"
                };
                let mut response = error(status, text);
                for challenge in challenges {
                    response
                        .headers_mut()
                        .append(header::WWW_AUTHENTICATE, challenge.as_header().clone());
                }
                response
            }
            Self::Forbid => error(status, "Forbidden"),
            Self::Respond(own) => respond(status, own.headers, own.body),
            Self::Unavailable { retry_after } => {
                let mut response = error(status, "Authentication is temporarily unavailable");
                if let Some(seconds) = retry_after {
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, HeaderValue::from(seconds.as_secs().max(1)));
                }
                response
            }
        }
    }
}

fn error(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    respond(
        status,
        headers,
        Bytes::from(serde_json::json!({ "error": text }).to_string()),
    )
}

fn respond(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
