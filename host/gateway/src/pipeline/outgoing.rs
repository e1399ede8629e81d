//! A request that may go on to its upstream. It can't be had without authentication and authorization: the driver is the
//! only code that makes one.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::Request;
use http::request::Parts;
use portcullis::ResponseHeaders;
use portcullis::decision::Authenticated;
use portcullis_wire::client::Client;

use crate::generation::Generation;
use crate::generation::Route;
use crate::pipeline::admission::Admitted;
use crate::pipeline::head::UpstreamHead;
use crate::pipeline::sender::Sender;

/// A request that may go on to its upstream.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) admitted: Admitted,
    pub(super) generation: Arc<Generation>,
    /// What has to hold besides, which was not looked into. Only `explain` leaves anything open.
    pub(super) condition: Option<String>,
}

impl Outgoing {
    /// The configuration that it was decided by.
    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Its route.
    pub(crate) fn route(&self) -> &Arc<Route> {
        &self.admitted.route
    }

    /// What is known of who sent it.
    pub(crate) fn sender(&self) -> &Sender {
        &self.admitted.sender
    }

    /// The user. `None` for anonymous requests.
    pub(crate) fn user(&self) -> Option<&Authenticated> {
        self.admitted.sender.user()
    }

    /// Its method and headers, without those that only the gateway may set.
    pub(crate) fn parts(&self) -> &Parts {
        &self.admitted.request.parts
    }

    /// The client's headers, without those that only the gateway may set.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.admitted.request.parts.headers
    }

    /// Takes the method and headers out, to write the upstream's head from.
    pub(super) fn take_parts(&mut self) -> Parts {
        std::mem::replace(&mut self.admitted.request.parts, Request::new(()).into_parts().0)
    }

    /// Who sent it, seen past trusted proxies.
    pub(crate) fn client(&self) -> &Client {
        &self.admitted.request.client
    }

    /// Names of headers that were removed, as far as a front has to remove them as well.
    pub(crate) fn removed(&self) -> &[HeaderName] {
        &self.admitted.removed
    }

    /// What has to hold besides. `None` unless the request is only explained.
    pub(crate) fn condition(&self) -> Option<&str> {
        self.condition.as_deref()
    }

    /// What its head for the upstream is made of.
    pub(crate) fn head(&self) -> UpstreamHead<'_> {
        self.admitted.head(&self.generation)
    }

    /// What is known of who sent it.
    pub(super) fn into_sender(self) -> Sender {
        self.admitted.sender
    }

    /// What the response carries, whatever it is.
    pub(crate) fn into_response_headers(self) -> ResponseHeaders {
        self.admitted.for_client
    }
}

impl Admitted {
    /// What its head for the upstream is made of.
    pub(super) fn head<'a>(&'a self, generation: &'a Generation) -> UpstreamHead<'a> {
        UpstreamHead {
            route: &self.route,
            client: &self.request.client,
            target: &self.request.target,
            user: self.sender.user(),
            identity: &self.route.identity,
            session_cookie: generation.session_cookie(),
            upstream_verifies: matches!(self.sender, Sender::Upstream { .. }),
        }
    }
}
