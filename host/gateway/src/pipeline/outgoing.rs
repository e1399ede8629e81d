//! A request that may be forwarded to its upstream. Only [`Gateway::decide`](super::Gateway::decide) makes one, after
//! authentication and authorization.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::Request;
use http::request::Parts;
use portcullis::ResponseHeaders;
use portcullis::decision::Authenticated;
use portcullis::decision::Permits;
use portcullis::decision::Step;
use portcullis_wire::client::Client;
use portcullis_wire::path::CanonicalPath;

use crate::generation::Generation;
use crate::generation::Route;
use crate::pipeline::admission::Admitted;
use crate::pipeline::head::UpstreamHead;
use crate::pipeline::sender::Sender;

/// A request that may be forwarded to its upstream.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) admitted: Admitted,
    pub(super) generation: Arc<Generation>,
    /// A further condition that was not checked. `None` except for `explain`.
    pub(super) condition: Option<String>,
}

impl Outgoing {
    /// The generation that decided about the request.
    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// The route of the request.
    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.admitted.route
    }

    /// What is known about the sender.
    pub(crate) fn sender(&self) -> &Sender {
        &self.admitted.sender
    }

    /// The user. `None` for anonymous requests.
    pub(crate) fn user(&self) -> Option<&Authenticated> {
        self.admitted.sender.user()
    }

    /// What the route's authorizers permit.
    pub(crate) fn permits(&self) -> &Permits {
        &self.admitted.permits
    }

    /// The method, and the client's headers without those that only the gateway may set.
    pub(crate) fn parts(&self) -> &Parts {
        &self.admitted.request.parts
    }

    /// The client's headers, without those that only the gateway may set.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.admitted.request.parts.headers
    }

    /// Takes the method and the headers out, for the head that the upstream gets.
    pub(super) fn take_parts(&mut self) -> Parts {
        std::mem::replace(&mut self.admitted.request.parts, Request::new(()).into_parts().0)
    }

    /// The client, as seen past trusted proxies.
    pub(crate) fn client(&self) -> &Client {
        &self.admitted.request.client
    }

    /// The path of the request, as the client sent it.
    pub(super) fn path(&self) -> &CanonicalPath {
        &self.admitted.request.target.path
    }

    /// The names of the removed headers that a front has to remove as well.
    pub(crate) fn removed(&self) -> &[HeaderName] {
        &self.admitted.removed
    }

    /// A further condition that was not checked. `None` except for `explain`.
    pub(crate) fn condition(&self) -> Option<&str> {
        self.condition.as_deref()
    }

    /// What the head for the upstream is made of.
    pub(crate) fn head(&self) -> UpstreamHead<'_> {
        self.admitted.head(&self.generation)
    }

    /// What is known about the sender, and what each authorizer was asked and said.
    pub(super) fn into_sender(self) -> (Sender, Vec<Step>) {
        (self.admitted.sender, self.admitted.authorizer_steps)
    }

    /// What the authenticator and the session add to the response, whatever its status.
    pub(crate) fn into_response_headers(self) -> ResponseHeaders {
        self.admitted.for_client
    }
}

impl Admitted {
    /// What the head for the upstream is made of.
    pub(super) fn head<'a>(&'a self, generation: &'a Generation) -> UpstreamHead<'a> {
        UpstreamHead {
            route: &self.route,
            client: &self.request.client,
            target: &self.request.target,
            user: self.sender.user(),
            permits: &self.permits,
            identity: &self.route.identity,
            session_cookie: generation.session_cookie(),
            upstream_verifies: matches!(self.sender, Sender::Upstream { .. }),
            is_preflight: matches!(self.sender, Sender::Preflight),
        }
    }
}
