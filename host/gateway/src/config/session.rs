//! `[session]`: the cookie that carries an authenticated user from one request to the next.

use std::time::Duration;

use portcullis::session::Key;

/// Session cookies.
#[derive(Debug)]
pub(crate) struct SessionConfig {
    /// At least one; the first seals, all open.
    pub(crate) keys: Vec<Key>,
    /// How long a session lasts at most.
    pub(crate) max_age: Duration,
    /// The cookie's name.
    pub(crate) cookie: String,
    /// Whether the cookie is for HTTPS only; none: unless the gateway listens on a loopback address.
    pub(crate) secure: Option<bool>,
}
