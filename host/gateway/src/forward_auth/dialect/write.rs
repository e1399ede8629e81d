//! What the responses to all fronts have in common. An admission is exactly 200 without a body, a denial is never 2xx,
//! and neither is cached.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use crate::forward_auth::Allowed;
use crate::proxy::body;
use crate::proxy::body::Body;

/// An admission, with the headers that replace the client's, for fronts that change no other headers.
pub(super) fn allow(allowed: Allowed) -> Response<Body> {
    let mut headers = for_client(&allowed);
    for (name, value) in &allowed.changes.set {
        headers.append(name, value.clone());
    }
    let mut response = Response::new(body::full(""));
    *response.headers_mut() = headers;
    forbid_caching(response)
}

/// The headers for the client. A header that an authenticator sends to the client must not be mistaken for one that the
/// gateway sends to the upstream or to the front.
pub(super) fn for_client(allowed: &Allowed) -> HeaderMap {
    let all = allowed.for_client.iter();
    let safe = all.filter(|(name, _)| !allowed.changes.covers(name) && !is_for_front(name));
    let mut headers = HeaderMap::new();
    for (name, value) in safe {
        headers.append(name, value.clone());
    }
    headers
}

/// An admission, for fronts that copy every configured header from the response, whether it was changed or not.
pub(super) fn allow_with_unchanged(mut allowed: Allowed) -> Response<Body> {
    let changes = &mut allowed.changes;
    for (name, value) in &std::mem::take(&mut changes.keep) {
        changes.set.append(name, value.clone());
    }
    allow(allowed)
}

/// A denial. An authenticator may answer with a page of its own and status 200, which a front would take for an
/// admission.
pub(super) fn refusal(mut response: Response<Body>) -> Response<Body> {
    if !(response.status().is_redirection() || response.status().as_u16() >= 400) {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    let front = Vec::from_iter(response.headers().keys().filter(|name| is_for_front(name)).cloned());
    for name in front {
        response.headers_mut().remove(name);
    }
    forbid_caching(response)
}

/// Keeps only the last cookie, for fronts that pass on at most one.
pub(super) fn keep_last_cookie(headers: &mut HeaderMap) {
    // The session cookie comes last, and is more important than the cookies that an authenticator sets.
    let mut cookies = headers.get_all(header::SET_COOKIE).iter().rev().cloned();
    let Some(cookie) = cookies.next() else { return };
    let lost = cookies.count();
    if lost > 0 {
        tracing::warn!(
            lost,
            "the front passes on only one cookie of a response, and the others are lost"
        );
    }
    headers.insert(header::SET_COOKIE, cookie);
}

fn is_for_front(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-envoy-") || name.starts_with("x-portcullis-")
}

fn forbid_caching(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization, Cookie"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward_auth::Changes;

    #[test]
    fn an_admission_is_200_and_a_denial_is_never_2xx() {
        for (status, expected) in [(200, 403), (204, 403), (299, 403), (302, 302), (401, 401), (503, 503)] {
            let mut response = Response::new(body::full(""));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(response).status(), expected, "{status}");
        }
        let allowed = Allowed {
            changes: Changes::default(),
            for_client: HeaderMap::new(),
        };
        assert_eq!(allow(allowed).status(), 200);
    }

    #[test]
    fn only_the_last_cookie_is_kept() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1", "b=2", "session=3"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        keep_last_cookie(&mut headers);
        assert_eq!(Vec::from_iter(headers.get_all(header::SET_COOKIE)), ["session=3"]);
    }
}
