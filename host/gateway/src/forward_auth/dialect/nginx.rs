//! nginx's `auth_request`. nginx accepts 2xx, 401 and 403, and turns any other status into 500. Of a denial it keeps
//! only the challenge, and it passes on all headers of the client that its configuration doesn't set.

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
use crate::login::PageAt;
use crate::pipeline::Rejection;
use crate::pipeline::target::Target;
use crate::proxy::body::Body;

/// `X-Original-URL` is `$scheme://$http_host$request_uri`. It is one header, so that all its parts come from nginx.
pub(super) fn read(headers: &HeaderMap, peer: Peer, front: &FrontProxy<'_>) -> Result<Original, Rejection> {
    let url = fields::one(headers, "x-original-url")?;
    let malformed = || Rejection::malformed("the front's x-original-url is not a URL with a path");
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

/// nginx passes on one cookie of a response: up to 1.22 the first, and since then all of them joined in one line, which
/// no browser can read.
pub(super) fn allow(mut allowed: Allowed) -> Response<Body> {
    write::keep_last_cookie(&mut allowed.for_client);
    write::allow_with_unchanged(allowed)
}

/// Answers 401 or 403. The original status is in `X-Portcullis-Status`, the target of a redirect in `Location`, and the place of the
/// page that explains a refusal in `X-Portcullis-Page`, for configurations that use them.
pub(super) fn deny(denied: Denied) -> Response<Body> {
    let mut response = write::refusal(denied.response);
    let page = response.extensions_mut().remove::<PageAt>();
    let original = response.status();
    let status = match original {
        StatusCode::UNAUTHORIZED => StatusCode::UNAUTHORIZED,
        _ if original.is_redirection() => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(original.as_u16()));
    let page = page.and_then(|PageAt(place)| HeaderValue::try_from(place).ok());
    headers.extend(page.map(|place| (PAGE, place)));
    write::keep_last_cookie(headers);
    merge_challenges(headers);
    response
}

/// Joins all challenges in one field (RFC 9110, section 11.6.1), because nginx passes on only the first one up to 1.22.
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
const PAGE: HeaderName = HeaderName::from_static("x-portcullis-page");
