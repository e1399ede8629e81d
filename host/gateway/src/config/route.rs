//! `[[routes]]`: which requests go where, who may pass, and what the upstream learns about the user.

use std::time::Duration;

use http::HeaderName;
use http::uri::Authority;

use crate::config::Secret;
use crate::serve::path::CanonicalPath;

/// One route.
#[derive(Debug)]
pub(crate) struct RouteConfig {
    /// The prefix, which matches whole segments only.
    pub(crate) path: CanonicalPath,
    /// The hosts that it serves, in lower case and without a port; empty: every host.
    pub(crate) hosts: Vec<String>,
    /// Who may pass.
    pub(crate) access: RouteAccess,
    /// Where its requests go.
    pub(crate) upstream: Upstream,
    /// What the upstream learns about the user.
    pub(crate) identity: IdentityHeaders,
    /// Whether the client's cookies reach the upstream, and the upstream's the client.
    pub(crate) cookies: Cookies,
    /// Whether the client's own credentials reach the upstream: every header that its authenticators may read.
    pub(crate) forward_authorization: bool,
    /// How long the upstream may take to begin its response.
    pub(crate) timeout: Duration,
    /// Where the file says so.
    pub(crate) line: usize,
}

/// Who may pass.
#[derive(Debug)]
pub(crate) enum RouteAccess {
    /// Whoever one of these authenticators vouches for, asked in order; and anonymous requests that carry no
    /// credentials.
    Optional(Vec<String>),
    /// Whoever one of these authenticators vouches for, asked in order.
    Protected(Vec<String>),
    /// Everybody; nobody is asked.
    Public,
}

/// Where a route's requests go.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    /// An HTTP server.
    Http {
        /// Its host and port.
        authority: Authority,
        /// Prepended to the request's path; empty, or starts with a slash and doesn't end with one.
        base: String,
    },
    /// The built-in page that shows who you are.
    WhoAmI,
}

/// Whether cookies pass between client and upstream. The gateway's own session cookie never does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cookies {
    /// Neither the client's cookies nor the upstream's pass.
    Drop,
    /// Both pass.
    Pass,
}

/// What the upstream learns about the user, and the header names that no client may send.
#[derive(Clone, Debug)]
pub(crate) struct IdentityHeaders {
    /// Carries the user's name.
    pub(crate) user: HeaderName,
    /// Carries the groups, joined by commas.
    pub(crate) groups: HeaderName,
    /// Carries `true` or `false`.
    pub(crate) admin: Option<HeaderName>,
    /// An attribute's name, and the header that carries it.
    pub(crate) attributes: Vec<(String, HeaderName)>,
    /// Sent with the user's name as `Authorization: Basic`.
    pub(crate) basic_password: Option<Secret>,
}

impl IdentityHeaders {
    /// Every header name that carries identity.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let attributes = self.attributes.iter().map(|(_, header)| header);
        [&self.user, &self.groups].into_iter().chain(&self.admin).chain(attributes)
    }
}
