//! HAProxy. It has no built-in forward auth, so the Lua action in `docs/fronts/haproxy` follows the response, which
//! names the headers to set, the headers to remove as the client spelled them, and the headers for the client.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;

use super::write;
use crate::forward_auth::Allowed;
use crate::proxy::body::Body;

pub(super) fn allow(allowed: Allowed) -> Response<Body> {
    let set = names(allowed.changes.set.keys());
    let remove = names(&allowed.changes.remove);
    let for_client = names(write::for_client(&allowed).keys());
    let mut response = write::allow(allowed);
    let headers = response.headers_mut();
    insert(headers, SET, set);
    insert(headers, REMOVE, remove);
    insert(headers, FOR_CLIENT, for_client);
    response
}

fn names<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> String {
    Vec::from_iter(names.into_iter().map(HeaderName::as_str)).join(",")
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

const SET: HeaderName = HeaderName::from_static("x-portcullis-set");
const REMOVE: HeaderName = HeaderName::from_static("x-portcullis-remove");
const FOR_CLIENT: HeaderName = HeaderName::from_static("x-portcullis-client");
