//! Caddy, `forward_auth`. It deletes every header that it is to copy, then copies those that the answer has.

use http::Response;

use super::write;
use crate::serve::answer::Body;
use crate::serve::forward_auth::Allowed;

pub(super) fn allow(allowed: Allowed) -> Response<Body> {
    write::allow_with_all(allowed)
}
