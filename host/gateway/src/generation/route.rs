//! A route with its gate: what a server needs to answer one request.

use std::time::Duration;

use portcullis::Gate;

use crate::config::Cookies;
use crate::config::IdentityHeaders;
use crate::config::Upstream;
use crate::generation::Credentials;

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// How logs call it: its path, after its first host if it names one.
    pub(crate) name: String,
    /// Who may pass.
    pub(crate) access: Access,
    /// Where its requests go.
    pub(crate) upstream: Upstream,
    /// What the upstream learns about the user.
    pub(crate) identity: IdentityHeaders,
    /// Whether cookies pass between client and upstream.
    pub(crate) cookies: Cookies,
    /// Whether the client's credentials reach the upstream.
    pub(crate) forward_authorization: bool,
    /// Where they stand in a request.
    pub(crate) credentials: Credentials,
    /// How long the upstream may take to begin its response.
    pub(crate) timeout: Duration,
}

/// Who may pass.
#[derive(Debug)]
pub(crate) enum Access {
    /// Whoever the gate admits, and anonymous requests that carry no credentials.
    Optional(Gate),
    /// Whoever the gate admits.
    Protected(Gate),
    /// Everybody; nobody is asked.
    Public,
}
