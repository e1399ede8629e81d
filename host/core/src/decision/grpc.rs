//! The response for a gRPC client whose request is refused. Clients fail at a body that isn't gRPC before they look at the
//! HTTP status, so it is a response of trailers alone.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use super::Refusal;
use super::response::unavailable;

impl Refusal {
    /// The response for a gRPC client: status 200, no body, and the `grpc-status` that the protocol's "HTTP to gRPC
    /// Status Code Mapping" has for [`Refusal::status`]. Challenges, `Retry-After` and the other headers are as in
    /// [`Refusal::into_response`].
    pub fn into_grpc_response(self) -> Response<Bytes> {
        let status = self.status();
        let message = message(&self);
        let mut response = self.into_response();
        *response.status_mut() = StatusCode::OK;
        *response.body_mut() = Bytes::new();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(code(status)));
        headers.insert("grpc-message", HeaderValue::from_static(message));
        response
    }
}

/// Whether a request is gRPC: `application/grpc`, or with a suffix such as `+proto`. gRPC-Web isn't: its clients read the
/// HTTP status.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = media_type.and_then(|media_type| media_type.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

const fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

fn message(refusal: &Refusal) -> &'static str {
    match (refusal, refusal.status().as_u16()) {
        (Refusal::Unavailable { role, .. }, _) => unavailable(*role),
        (_, 401) => "Authentication required",
        (_, 403) => "Forbidden",
        (_, 404) => "Not found",
        (_, 429) => "Too many requests",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::PluginResponse;
    use super::*;
    use crate::role::Role;

    #[test]
    fn a_grpc_client_hears_the_code_of_its_protocol() {
        let unauthenticated = Refusal::Unauthenticated {
            credentials: false,
            challenges: Vec::new(),
        };
        let cannot_decide = |role| Refusal::Unavailable {
            role,
            retry_after: None,
        };
        let wait = Duration::from_secs(3);
        let respond = |status: u16| {
            Refusal::Respond(PluginResponse {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"a page"),
            })
        };
        for (refusal, code, message) in [
            (unauthenticated, "16", "Authentication required"),
            (Refusal::Forbid { challenge: None }, "7", "Forbidden"),
            (
                Refusal::TooManyRequests { retry_after: wait },
                "14",
                "Too many requests",
            ),
            (
                cannot_decide(Role::Authenticator),
                "14",
                "Authentication is unavailable",
            ),
            (cannot_decide(Role::Authorizer), "14", "Authorization is unavailable"),
            (respond(400), "13", "Refused"),
            (Refusal::Hide, "12", "Not found"),
            (respond(404), "12", "Not found"),
            (respond(502), "14", "Refused"),
            (respond(504), "14", "Refused"),
            (respond(302), "2", "Refused"),
            (respond(500), "2", "Refused"),
        ] {
            let response = refusal.into_grpc_response();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["grpc-status"], code);
            assert_eq!(response.headers()["grpc-message"], message);
            assert!(response.body().is_empty());
        }
    }

    #[test]
    fn grpc_web_is_another_protocol() {
        for (media_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))]);
            assert_eq!(is_grpc(&headers), expected, "{media_type}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
