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
use crate::role::Role;

/// The `Retry-After` of a 503 whose duration is unknown.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbid { .. } => StatusCode::FORBIDDEN,
            Self::Hide => StatusCode::NOT_FOUND,
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
            Self::Hide => error(status, "Not found"),
            Self::Respond(own) => {
                let mut headers = own.headers;
                headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
                respond(status, headers, own.body)
            }
            Self::TooManyRequests { retry_after } => with_retry_after(error(status, "Too many requests"), retry_after),
            Self::Unavailable { role, retry_after } => {
                let response = error(status, unavailable(role));
                with_retry_after(response, retry_after.unwrap_or(RETRY_AFTER))
            }
        }
    }
}

/// What a client hears if a plugin in this role can't decide.
pub(super) const fn unavailable(role: Role) -> &'static str {
    match role {
        Role::Authenticator | Role::Login => "Authentication is unavailable",
        Role::Authorizer => "Authorization is unavailable",
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

#[cfg(test)]
mod tests {
    use super::super::PluginResponse;
    use super::*;

    fn cannot_decide(role: Role, retry_after: Option<Duration>) -> Refusal {
        Refusal::Unavailable { role, retry_after }
    }

    fn unauthenticated(credentials: bool) -> Refusal {
        let challenge = |scheme| Challenge::new::<&str, &str>(scheme, []).unwrap();
        Refusal::Unauthenticated {
            credentials,
            challenges: ["Basic", "Bearer"].map(challenge).to_vec(),
        }
    }

    fn respond(headers: HeaderMap) -> Refusal {
        Refusal::Respond(PluginResponse {
            status: StatusCode::FOUND,
            headers,
            body: Bytes::from_static(b"its own"),
        })
    }

    #[test]
    fn a_client_learns_the_status_and_the_challenges_but_not_the_reason() {
        let challenge = Challenge::new::<&str, &str>("Bearer", []);
        for (refusal, status, body, challenges) in [
            (
                unauthenticated(true),
                401,
                r#"{"error":"Authentication required"}"#,
                &["Basic", "Bearer"][..],
            ),
            (
                unauthenticated(false),
                401,
                r#"{"error":"Authentication required"}"#,
                &["Basic", "Bearer"],
            ),
            (
                Refusal::Forbid { challenge },
                403,
                r#"{"error":"Forbidden"}"#,
                &["Bearer"],
            ),
            (Refusal::Hide, 404, r#"{"error":"Not found"}"#, &[]),
            (
                Refusal::TooManyRequests {
                    retry_after: RETRY_AFTER,
                },
                429,
                r#"{"error":"Too many requests"}"#,
                &[],
            ),
            (
                cannot_decide(Role::Authenticator, None),
                503,
                r#"{"error":"Authentication is unavailable"}"#,
                &[],
            ),
            (
                cannot_decide(Role::Authorizer, None),
                503,
                r#"{"error":"Authorization is unavailable"}"#,
                &[],
            ),
            (respond(HeaderMap::new()), 302, "its own", &[]),
        ] {
            let response = refusal.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.body(), body);
            let sent = response.headers().get_all(header::WWW_AUTHENTICATE);
            assert_eq!(Vec::from_iter(sent), challenges, "{status}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{status}");
        }
        let cached = respond(HeaderMap::from_iter([(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public"),
        )]));
        assert_eq!(cached.into_response().headers()[header::CACHE_CONTROL], "public");
    }

    #[test]
    fn a_client_is_never_told_to_come_back_too_soon() {
        for (after, seconds) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_secs(1), 1),
            (Duration::from_nanos(1_000_000_001), 2),
            (Duration::from_millis(2500), 3),
            (Duration::from_secs(60), 60),
        ] {
            let unavailable = cannot_decide(Role::Authenticator, Some(after));
            for refusal in [Refusal::TooManyRequests { retry_after: after }, unavailable] {
                let response = refusal.into_response();
                assert_eq!(
                    response.headers()[header::RETRY_AFTER],
                    seconds.to_string(),
                    "{after:?}"
                );
            }
        }
        let unknown = cannot_decide(Role::Authenticator, None).into_response();
        assert_eq!(unknown.headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn only_a_request_without_credentials_may_pass_as_anonymous() {
        for (refusal, may_pass) in [
            (unauthenticated(false), true),
            (unauthenticated(true), false),
            (Refusal::Forbid { challenge: None }, false),
            (Refusal::Hide, false),
            (cannot_decide(Role::Authenticator, None), false),
            (
                Refusal::TooManyRequests {
                    retry_after: RETRY_AFTER,
                },
                false,
            ),
            (respond(HeaderMap::new()), false),
        ] {
            assert_eq!(refusal.lacks_credentials(), may_pass, "{refusal:?}");
        }
    }
}
