//! Envoy's `ext_authz` over HTTP. Envoy appends the original path to the endpoint, sends only the headers that its
//! configuration allows, and accepts a request only if the response is 200.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::request::Parts;
use portcullis_wire::peer::Peer;

use super::write;
use crate::forward_auth::Allowed;
use crate::forward_auth::FrontProxy;
use crate::forward_auth::Original;
use crate::forward_auth::fields;
use crate::pipeline::Rejection;
use crate::pipeline::target;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;

pub(super) fn read(parts: &Parts, rest: &str, peer: Peer, front: &FrontProxy<'_>) -> Result<Original, Rejection> {
    let authority = target::authority(parts)?.unwrap_or_default();
    let scheme = fields::scheme(fields::one(&parts.headers, "x-forwarded-proto")?)?;
    Ok(Original {
        method: fields::method(parts.method.as_str())?,
        target: Target::from_front(&authority, rest)?,
        client: fields::client(&parts.headers, scheme, peer, front)?,
        headers: parts.headers.clone(),
    })
}

/// Three quarters of Envoy's own timeout. After that timeout, Envoy applies `failure_mode_allow`, which may let the
/// request pass.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let timeout = headers.get(EXPECTED_TIMEOUT)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(timeout) / 4 * 3)
}

/// Headers are removed by name, because Envoy keeps the client's headers otherwise.
pub(super) fn allow(allowed: Allowed) -> Response<Body> {
    let names = Vec::from_iter(allowed.changes.remove.iter().map(HeaderName::as_str)).join(",");
    let mut response = write::allow(allowed);
    if let Ok(names) = HeaderValue::try_from(names) {
        response.headers_mut().insert(REMOVE, names);
    }
    response
}

/// Envoy treats 5xx as a failure and applies `failure_mode_allow`, so a denial must have another status.
pub(super) fn deny(response: Response<Body>) -> Response<Body> {
    let mut response = write::refusal(response);
    if response.status().is_server_error() {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
