//! One loaded configuration: its authenticators, ready to be asked, and its routes. It never changes; a new
//! configuration makes the next one.

mod credentials;
mod route;
mod table;

use std::sync::Arc;

use http::HeaderName;
use portcullis::session::Sessions;

use crate::serve::path::CanonicalPath;

pub(crate) use credentials::Credentials;
pub(crate) use route::Access;
pub(crate) use route::Route;

/// One loaded configuration.
#[derive(Debug)]
pub(crate) struct Generation {
    routes: table::RouteTable,
    sessions: Option<Arc<Sessions>>,
    identity_headers: Vec<HeaderName>,
}

impl Generation {
    /// The route that serves a request: `host` as the client asked for it, a port and a final dot are ignored.
    ///
    /// A route that names the host wins over one that names none; then the longest path wins.
    pub(crate) fn route(&self, host: Option<&str>, path: &CanonicalPath) -> Option<&Arc<Route>> {
        self.routes.find(host, path)
    }

    /// What opens and clears session cookies; none when sessions are off.
    pub(crate) fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.as_ref()
    }

    /// The identity headers of all routes, each once: no client may send any of them to any upstream.
    pub(crate) fn identity_headers(&self) -> &[HeaderName] {
        &self.identity_headers
    }
}
