//! Envoy, `ext_authz` over HTTP. It sends the request line itself below the endpoint, shows only the headers that its
//! configuration allows, and lets a request pass at 200 alone.

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

pub(super) fn read(parts: &Parts, rest: &str, peer: Peer, front: &FrontProxy) -> Result<Original, Rejection> {
    let authority = target::authority(parts)?.unwrap_or_default();
    let scheme = fields::scheme(fields::one(&parts.headers, "x-forwarded-proto")?)?;
    Ok(Original {
        method: fields::method(parts.method.as_str())?,
        target: Target::from_front(&authority, rest)?,
        client: fields::client(&parts.headers, scheme, peer, front)?,
        headers: parts.headers.clone(),
    })
}

/// Most of the time that Envoy waits. When that is over Envoy goes by `failure_mode_allow`, which may let the request in.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let waits = headers.get(EXPECTED_TIMEOUT)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(waits) / 4 * 3)
}

/// What is not set is removed by name: Envoy keeps what the client sent, unless it is told.
pub(super) fn allow(allowed: Allowed) -> Response<Body> {
    let names = Vec::from_iter(allowed.changes.remove.iter().map(HeaderName::as_str)).join(",");
    let mut response = write::allow(allowed);
    if let Ok(names) = HeaderValue::try_from(names) {
        response.headers_mut().insert(REMOVE, names);
    }
    response
}

/// Envoy takes 5xx for a failure and goes by `failure_mode_allow`, so a refusal is none.
pub(super) fn deny(response: Response<Body>) -> Response<Body> {
    let mut response = write::refusal(response);
    if response.status().is_server_error() {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
