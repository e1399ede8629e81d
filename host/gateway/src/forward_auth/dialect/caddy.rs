//! Caddy, `forward_auth`. It deletes every header that it is to copy, then copies those that the answer has.

use http::Response;

use super::write;
use crate::forward_auth::Allowed;
use crate::proxy::body::Body;

/// A configuration can have one cookie at most copied to the client.
pub(super) fn allow(mut allowed: Allowed) -> Response<Body> {
    write::keep_last_cookie(&mut allowed.for_client);
    write::allow_with_unchanged(allowed)
}
