//! The public keys of the assertions, for upstreams that verify them. They are no secret, and every page may read them.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;

use crate::answers::response;
use crate::assertion::Assertions;

/// Where verifiers find the keys.
pub(crate) const PATH: &str = "/.portcullis/jwks.json";

/// Answers with the keys (RFC 7517, section 5). `None` if they can't be made.
pub(crate) fn answer(method: &Method, assertions: &Assertions) -> Option<Response<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return Some(response::whole_method_not_allowed("GET, HEAD"));
    }
    let keys = assertions.jwks(SystemTime::now());
    let keys = keys
        .inspect_err(|why| tracing::error!(why, "the public keys can't be made"))
        .ok()?;
    let mut response = response::whole(StatusCode::OK, "application/jwk-set+json", keys);
    let lifetime = format!("public, max-age={}", assertions.jwks_lifetime().as_secs());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::try_from(lifetime).ok()?);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.remove(header::VARY);
    Some(response)
}
