//! A request as it was received, and what is removed from it before any other code reads it.

use http::HeaderName;
use http::HeaderValue;
use http::header;
use http::request::Parts;
use portcullis_wire::client::Client;
use portcullis_wire::forwarded;
use portcullis_wire::header_names::fold;
use portcullis_wire::identity_names::IdentityNames;
use portcullis_wire::request_id::RequestId;

use crate::generation::Generation;
use crate::login::Visit;
use crate::pipeline::target::Target;

/// A request as it was received.
#[derive(Debug)]
pub(crate) struct Received {
    /// The client that sent it.
    pub(crate) client: Client,
    /// What it asks for.
    pub(crate) target: Target,
    /// The method and the headers. Use `target` instead of the URI, which differs between entrances.
    pub(crate) parts: Parts,
}

impl Received {
    /// The id of the request. `None` if no client has sent it.
    pub(crate) fn id(&self) -> Option<&RequestId> {
        self.parts.extensions.get()
    }

    /// The request as the pages of logins see it.
    pub(crate) fn visit<'a>(&'a self, generation: &'a Generation) -> Visit<'a> {
        Visit {
            generation,
            id: self.id(),
            client: &self.client,
            authority: self.target.authority.as_deref(),
            path: self.target.path.as_str(),
            query: self.target.query.as_deref(),
            method: &self.parts.method,
            headers: &self.parts.headers,
        }
    }

    /// Removes the headers that only the gateway may set, in every spelling, and the proxy headers that the client may
    /// not send. Sets `Host` to the authority of the target.
    ///
    /// Returns the names of the removed headers that a front has to remove as well. A front sets `X-Forwarded-*`
    /// itself, so the names include only other spellings of these.
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
