//! A browser's request for one of the login pages, or a request that is sent there.

use std::sync::Arc;

use http::HeaderMap;
use http::Method;
use portcullis::AuthRequest;
use portcullis::session::Session;
use portcullis::session::Sessions;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use crate::config::Origin;
use crate::generation::Generation;
use crate::generation::LoginPoint;
use crate::generation::Logins;

/// A request, as far as logins are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    /// The generation that decides about it.
    pub(crate) generation: &'a Generation,
    /// Its id. `None` if no client has sent it.
    pub(crate) id: Option<&'a RequestId>,
    /// Who sent it.
    pub(crate) client: &'a Client,
    /// The host and port that the client asked for.
    pub(crate) authority: Option<&'a str>,
    /// The path, as sent.
    pub(crate) path: &'a str,
    /// The query, as sent.
    pub(crate) query: Option<&'a str>,
    /// The method.
    pub(crate) method: &'a Method,
    /// The header fields.
    pub(crate) headers: &'a HeaderMap,
}

impl<'a> Visit<'a> {
    /// The origin, if people can log in there.
    pub(super) fn origin(&self, logins: &'a Logins) -> Option<&'a Origin> {
        logins.origin(&self.client.scheme, self.authority)
    }

    /// Whether a header field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// A header field, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The request's session, whatever route it counts on. `None` also if it isn't accepted.
    pub(super) fn session(&self) -> Option<(&'a Arc<Sessions>, Session)> {
        let sessions = self.generation.sessions()?;
        let session = sessions.read(self.headers, self.generation.everybody().chain());
        Some((sessions, session.ok().flatten()?))
    }

    /// What a login is asked with. Its plugin sees nothing of it.
    pub(super) fn auth_request(&self) -> AuthRequest {
        AuthRequest {
            method: self.method.clone(),
            scheme: self.client.scheme.clone(),
            authority: self.authority.map(str::to_owned),
            path: self.path.to_owned(),
            query: None,
            headers: HeaderMap::new(),
            client_address: self.client.address,
            client_certificate: None,
            channel_binding: None,
            route: None,
            id: self.id.map(ToString::to_string),
        }
    }
}

/// The path of a page of a login.
pub(super) fn page_of(name: &str, page: &str) -> String {
    format!("{PREFIX}/{name}{page}")
}

/// Where the provider sends browsers back to. It is made of the configuration, never of `Host`.
pub(super) fn redirect_uri(origin: &Origin, point: &LoginPoint) -> String {
    format!("{origin}{}", page_of(&point.name, "/callback"))
}

/// What all paths of logins begin with.
pub(super) const PREFIX: &str = "/.portcullis/login";
