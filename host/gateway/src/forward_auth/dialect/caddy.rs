//! Caddy's `forward_auth`. It deletes every header in `copy_headers`, and then copies those that the response has.

use http::Response;

use super::write;
use crate::forward_auth::Allowed;
use crate::proxy::body::Body;

/// A Caddy configuration can copy at most one cookie to the client.
pub(super) fn allow(mut allowed: Allowed) -> Response<Body> {
    write::keep_last_cookie(&mut allowed.for_client);
    write::allow_with_unchanged(allowed)
}
