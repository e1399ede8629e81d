//! nginx, `auth_request`. It takes 2xx, 401 and 403 and makes a 500 of everything else, drops what a refusal says but the
//! challenge, and passes on every header of the client that its configuration doesn't set.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis_wire::peer::Peer;

use super::write;
use crate::forward_auth::Allowed;
use crate::forward_auth::FrontProxy;
use crate::forward_auth::Original;
use crate::forward_auth::fields;
use crate::forward_auth::verdict::Denied;
use crate::pipeline::Rejection;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;

/// `X-Original-URL` is `$scheme://$http_host$request_uri`: one header, so that its parts can't come from two sides.
pub(super) fn read(headers: &HeaderMap, peer: Peer, front: &FrontProxy) -> Result<Original, Rejection> {
    let url = fields::one(headers, "x-original-url")?;
    let malformed = || Rejection::malformed("the front's x-original-url is no URL with a path");
    let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
    let (authority, _) = rest.split_once('/').ok_or_else(malformed)?;
    let path_and_query = rest.strip_prefix(authority).ok_or_else(malformed)?;
    let scheme = fields::scheme(scheme)?;
    Ok(Original {
        method: fields::method(fields::one(headers, "x-original-method")?)?,
        target: Target::from_front(authority, path_and_query)?,
        client: fields::client(headers, scheme, peer, front)?,
        headers: headers.clone(),
    })
}

/// nginx reads one cookie of a response: up to 1.22 the first, and later all in one line, which no browser reads.
pub(super) fn allow(mut allowed: Allowed) -> Response<Body> {
    write::keep_last_cookie(&mut allowed.for_client);
    write::allow_with_unchanged(allowed)
}

/// 401 or 403, whatever the refusal was. What it was stands in `X-Portcullis-Status`, and a redirect's goal in `Location`,
/// for a configuration that makes more of it.
pub(super) fn deny(denied: Denied) -> Response<Body> {
    let mut response = write::refusal(denied.response);
    let meant = response.status();
    let status = match meant {
        StatusCode::UNAUTHORIZED => StatusCode::UNAUTHORIZED,
        _ if meant.is_redirection() => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(meant.as_u16()));
    write::keep_last_cookie(headers);
    merge_challenges(headers);
    response
}

/// Up to 1.22 nginx passes on the first field only, so that all challenges have to stand in it (RFC 9110, section 11.6.1).
fn merge_challenges(headers: &mut HeaderMap) {
    let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let joined = challenges
        .map(HeaderValue::as_bytes)
        .collect::<Vec<_>>()
        .join(&b", "[..]);
    if let (false, Ok(value)) = (joined.is_empty(), HeaderValue::from_bytes(&joined)) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
}

const STATUS: HeaderName = HeaderName::from_static("x-portcullis-status");
