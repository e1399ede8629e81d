//! Traefik, `forwardAuth`. It deletes every header that it is to copy, then copies those that the answer has, also when
//! empty; so what the upstream must not see is left out.

use http::HeaderValue;
use http::Response;
use http::header;

use super::write;
use crate::forward_auth::Allowed;
use crate::forward_auth::verdict::Denied;
use crate::proxy::body::Body;

pub(super) fn allow(allowed: Allowed) -> Response<Body> {
    write::allow_with_unchanged(allowed)
}

/// Traefik takes a relative `Location` for one below the address that it asked, where no client can go.
pub(super) fn deny(denied: Denied) -> Response<Body> {
    let mut response = write::refusal(denied.response);
    let headers = response.headers_mut();
    let location = headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok());
    let relative = location.filter(|location| location.starts_with('/') && !location.starts_with("//"));
    if let (Some(location), Some(origin)) = (relative, &denied.origin)
        && let Ok(absolute) = HeaderValue::try_from(format!("{origin}{location}"))
    {
        headers.insert(header::LOCATION, absolute);
    }
    response
}
