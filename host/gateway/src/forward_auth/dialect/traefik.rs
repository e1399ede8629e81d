//! Traefik's `forwardAuth`. It deletes every header in `authResponseHeaders`, and then copies those that the response
//! has, even if they are empty. Headers that the upstream must not get are therefore left out.

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

/// Makes `Location` absolute. Traefik resolves a relative one against the endpoint's address, which no client can
/// reach.
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
