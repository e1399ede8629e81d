//! Responses of the gateway itself. Errors are JSON, `{"error": …}`, for API clients. Only a browser
//! is ever redirected, by `login`: an API client would follow a redirect to a page.

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Either;
use portcullis::decision::Refusal;
use serde::Serialize;

use crate::proxy::body;
use crate::proxy::body::Body;

/// An error. The message tells the client what it can change, and never why the gateway decided so.
pub(crate) fn error(status: StatusCode, message: &str) -> Response<Body> {
    whole_error(status, message).map(body::full)
}

/// The same, with a body that can be copied.
pub(crate) fn whole_error(status: StatusCode, message: &str) -> Response<Bytes> {
    let json = serde_json::json!({ "error": message }).to_string();
    whole(status, "application/json", json)
}

/// A JSON object with status 200.
pub(crate) fn json(facts: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(facts) {
        Ok(json) => page(StatusCode::OK, "application/json", json + "\n"),
        Err(_) => failure(),
    }
}

/// 405 (RFC 9110, section 15.5.6).
pub(crate) fn method_not_allowed(allowed: &str) -> Response<Body> {
    whole_method_not_allowed(allowed).map(body::full)
}

/// The same, with a body that can be copied.
pub(crate) fn whole_method_not_allowed(allowed: &str) -> Response<Bytes> {
    let response = whole_error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
    match HeaderValue::from_str(allowed) {
        Ok(allowed) => with(response, header::ALLOW, allowed),
        Err(_) => response,
    }
}

/// The response to a head that is malformed or exceeds a limit: 400, 414 (RFC 9110, section 15.5.15) or 431 (RFC 6585,
/// section 5); and 502 to one for a WebSocket, if the upstream is of no use for it.
pub(crate) fn rejected_head(status: StatusCode) -> Response<Body> {
    let message = match status {
        StatusCode::BAD_GATEWAY => "The upstream speaks no WebSocket",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The request head is too large",
        StatusCode::MISDIRECTED_REQUEST => "The connection is outdated: use another one",
        StatusCode::URI_TOO_LONG => "The request target is too long",
        _ => "Malformed request",
    };
    error(status, message)
}

/// The response if the gateway itself failed.
pub(crate) fn failure() -> Response<Body> {
    error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
}

/// 503 (RFC 9110, section 15.6.4) with `Retry-After`.
pub(crate) fn unavailable(message: &str) -> Response<Body> {
    let response = error(StatusCode::SERVICE_UNAVAILABLE, message);
    with(response, header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// The response to a request that was refused.
pub(crate) fn refusal(refusal: &Refusal) -> Response<Body> {
    refusal.clone().into_response().map(body::full)
}

/// A response that must not be cached, and that depends on the credentials of the request.
pub(crate) fn page(status: StatusCode, media_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    whole(status, media_type, content).map(body::full)
}

/// The same, with a body that can be copied.
pub(crate) fn whole(status: StatusCode, media_type: &'static str, content: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(content.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization, Cookie"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A response to HEAD has the headers of one to GET and no body (RFC 9110, section 9.3.2).
pub(crate) fn for_method(method: &Method, response: Response<Body>) -> Response<Body> {
    match response.body() {
        Either::Left(content) if method == Method::HEAD => {
            let length = http_body::Body::size_hint(content).lower();
            with(
                response.map(|_| body::full(Bytes::new())),
                header::CONTENT_LENGTH,
                HeaderValue::from(length),
            )
        }
        _ => response,
    }
}

fn with<B>(mut response: Response<B>, name: HeaderName, value: HeaderValue) -> Response<B> {
    response.headers_mut().insert(name, value);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use portcullis::Role;
    use portcullis::decision::Challenge;

    use super::*;

    async fn text(response: Response<Body>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_challenge_has_its_own_header_field() {
        let challenges = ["Basic", "Bearer"].map(|scheme| Challenge::new(scheme, [("realm", "a, b")]).unwrap());
        let response = refusal(&Refusal::Unauthenticated {
            credentials: false,
            challenges: challenges.into(),
        });
        assert_eq!(response.status(), 401);
        let fields = response
            .headers()
            .get_all("www-authenticate")
            .iter()
            .collect::<Vec<_>>();
        assert_eq!(fields, [r#"Basic realm="a, b""#, r#"Bearer realm="a, b""#]);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(text(response).await, r#"{"error":"Authentication required"}"#);
    }

    #[tokio::test]
    async fn other_refusals_reveal_no_reason() {
        let response = refusal(&Refusal::Forbid { challenge: None });
        assert_eq!(response.status(), 403);
        assert_eq!(text(response).await, r#"{"error":"Forbidden"}"#);

        for (retry_after, seconds) in [(None, "5"), (Some(30_500), "31"), (Some(10), "1")] {
            let retry_after = retry_after.map(Duration::from_millis);
            let response = refusal(&Refusal::Unavailable {
                role: Role::Authenticator,
                retry_after,
            });
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (503, &seconds.parse().unwrap())
            );
        }
        assert_eq!(failure().status(), 500);
        assert_eq!(method_not_allowed("GET, HEAD").headers()["allow"], "GET, HEAD");
    }

    #[tokio::test]
    async fn a_response_to_head_has_a_length_and_no_body() {
        let response = for_method(&Method::HEAD, error(StatusCode::NOT_FOUND, "Not found"));
        assert_eq!(response.headers()["content-length"], "21");
        assert_eq!(text(response).await, "");
    }
}
