//! A request as one of the entrances received it, and what is removed from it before anybody reads it.

use http::HeaderName;
use http::HeaderValue;
use http::header;
use http::request::Parts;
use portcullis_wire::client::Client;
use portcullis_wire::forwarded;
use portcullis_wire::header_names::fold;
use portcullis_wire::identity_names::IdentityNames;

use crate::pipeline::target::Target;

/// A request as it was received.
#[derive(Debug)]
pub(crate) struct Received {
    /// Who sent it.
    pub(crate) client: Client,
    /// What it asks for.
    pub(crate) target: Target,
    /// Its method and headers. The URI is the entrance's own affair: `target` has what it means.
    pub(crate) parts: Parts,
}

impl Received {
    /// Removes the headers that only the gateway may set, in every spelling, and what a client claims in the name of a
    /// proxy. `Host` becomes what the request asks for, wherever it said so.
    ///
    /// Returns the names of removed headers that a front has to remove as well. A front sets `X-Forwarded-*` itself, so of
    /// these only other spellings are among them.
    pub(super) fn sanitize(&mut self, identity: &IdentityNames) -> Vec<HeaderName> {
        let headers = &mut self.parts.headers;
        let mut removed = identity.remove_from(headers);
        let claims = forwarded::remove_untrusted(headers, &self.client);
        removed.extend(claims.into_iter().filter(|name| fold(name) != name.as_str()));
        let host = self.target.authority.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(host)) = host {
            headers.insert(header::HOST, host);
        }
        removed
    }
}
