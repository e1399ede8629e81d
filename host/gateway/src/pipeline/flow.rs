//! The way of one request: read its target, see its client, find its route, strip what it may not say, ask who sent it,
//! then answer or forward it.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use http_body::Body as _;
use hyper::body::Incoming;
use portcullis_wire::client::Client;
use portcullis_wire::forwarded;
use portcullis_wire::identity_names::IdentityNames;
use portcullis_wire::path::PathError;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

use crate::answers::internal_pages;
use crate::answers::response;
use crate::answers::whoami;
use crate::config::Bounds;
use crate::config::ServerConfig;
use crate::config::Upstream;
use crate::forward_auth::Endpoint;
use crate::forward_auth::Front;
use crate::generation::Generation;
use crate::generation::Route;
use crate::pipeline::admission;
use crate::pipeline::audit;
use crate::pipeline::authorize::Authorizer;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::target::Target;
use crate::pipeline::target::Unserved;
use crate::proxy::Proxy;
use crate::proxy::body::Body;
use crate::transport::connection::Connection;
use crate::transport::connection::Service;
use crate::transport::connection::fault;

/// A configuration at work.
#[derive(Debug)]
pub(crate) struct Gateway {
    generation: Arc<Generation>,
    identity_names: IdentityNames,
    trusted_proxies: TrustedProxies,
    pub(super) bounds: Bounds,
    pub(super) proxy: Proxy,
    front: Option<Front>,
    authorizer: Authorizer,
    hsts: Option<HeaderValue>,
}

impl Service for Arc<Gateway> {
    type Body = Body;

    async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        Gateway::answer(self, connection, request).await
    }

    fn failure() -> Response<Body> {
        response::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }
}

impl Gateway {
    /// `front`: whoever may ask about requests of its own on the public listener.
    pub(crate) fn new(generation: Arc<Generation>, config: &ServerConfig, front: Option<Front>) -> Self {
        let identity_names = IdentityNames::new(generation.identity_headers());
        Self {
            proxy: Proxy::new(&generation),
            generation,
            identity_names,
            trusted_proxies: config.trusted_proxies.clone(),
            bounds: config.bounds,
            front,
            authorizer: Authorizer::new(),
            hsts: config.hsts.and_then(response::hsts),
        }
    }

    /// Answers one request of the public listener.
    pub(crate) async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let client = self.client(connection.peer, connection.scheme.clone(), &parts.headers);
        let client = client.with_certificate(connection.certificate.clone());
        let client = client.with_channel_binding(connection.channel_binding.clone());
        let response = match self.serve(connection, &client, parts, body).await {
            Ok(response) => response,
            Err(unserved) => {
                let response = unserved.answer();
                audit::unserved(&client, &method, uri.path(), &unserved, response.status());
                response
            }
        };
        let mut response = response::for_method(&method, response);
        if let Some(hsts) = self.hsts.as_ref().filter(|_| connection.scheme == Scheme::HTTPS) {
            let entry = response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY);
            entry.or_insert_with(|| hsts.clone());
        }
        response
    }

    /// Looks after the servers of upstreams from now on.
    pub(crate) fn watch(&self) {
        self.proxy.watch();
    }

    /// Waits until nothing is left that outlives a request: upgraded connections.
    pub(crate) async fn gone(&self) {
        self.proxy.gone().await;
    }

    /// Ends what outlives a request.
    pub(crate) async fn close(&self) {
        self.proxy.close().await;
    }

    /// Who sent a request with these headers over a connection from this peer.
    pub(crate) fn client(&self, peer: Peer, scheme: Scheme, headers: &HeaderMap) -> Client {
        Client::of(peer, scheme, headers, &self.trusted_proxies)
    }

    /// What a request asks for, and the route that it leads to; none: a path of the gateway's own. What the client may
    /// not say is removed from its headers.
    pub(crate) fn destination(
        &self,
        client: &Client,
        parts: &mut Parts,
    ) -> Result<(Target, Option<&Arc<Route>>), Unserved> {
        let target = Target::of(parts)?;
        forwarded::remove_unbelieved(&mut parts.headers, client);
        self.remove_identity(&mut parts.headers);
        if internal_pages::covers(&target.path) {
            return match target.path.has_encoded_slash() {
                true => Err(Unserved::malformed(PathError::ENCODED_SLASH)),
                false => Ok((target, None)),
            };
        }
        let route = self.route(&target)?;
        Ok((target, Some(route)))
    }

    async fn serve(
        &self,
        connection: &Connection,
        client: &Client,
        mut parts: Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Unserved> {
        if let (Some(front), Some(endpoint)) = (&self.front, Endpoint::at(&parts.uri)) {
            return Ok(self.subrequest(front, &endpoint, connection, &parts).await);
        }
        let (target, route) = self.destination(client, &mut parts)?;
        let Some(route) = route else {
            return Ok(internal_pages::answer(
                &target.path,
                &parts.method,
                &parts.headers,
                self.generation.sessions(),
            ));
        };
        let upstream = route.upstream.as_ref().ok_or(Unserved::Upstream)?;
        if route.max_body_size.is_some_and(|most| body.size_hint().lower() > most) {
            fault::count("max_body_size");
            return Err(Unserved::Size);
        }
        let pass = match admission::admit(route, client, &target, &mut parts).await {
            Ok(pass) => pass,
            Err(response) => return Ok(*response),
        };
        let user = pass.user.as_ref();
        let response = match upstream {
            Upstream::WhoAmI => whoami::answer(&parts.method, &parts.headers, user),
            Upstream::Http(upstream) => {
                let outgoing = Outgoing {
                    route,
                    client,
                    target: &target,
                    user,
                    identity: &route.identity,
                    session_cookie: self.session_cookie(),
                    upstreams_own: pass.upstreams_own,
                };
                if let Err(refused) = self.authorize(&parts.method, &outgoing).await {
                    return Ok(pass.mark(*refused));
                }
                self.forward(outgoing, upstream, connection, parts, body).await
            }
        };
        Ok(pass.mark(response))
    }

    /// Asks the upstream about the user, where the route wants that. The error is the answer to a request that may not
    /// go on.
    pub(crate) async fn authorize(&self, method: &Method, outgoing: &Outgoing<'_>) -> Result<(), Box<Response<Body>>> {
        self.authorizer.admit(&self.proxy, method, outgoing).await
    }

    /// The configuration at work.
    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Removes identity headers in every spelling, and returns the names of those that were there.
    pub(crate) fn remove_identity(&self, headers: &mut HeaderMap) -> Vec<HeaderName> {
        self.identity_names.remove_from(headers)
    }

    /// The route that a path leads to, however an upstream may read it.
    pub(crate) fn route(&self, target: &Target) -> Result<&Arc<Route>, Unserved> {
        let host = target.authority.as_deref();
        let route = self.generation.route(host, &target.path).ok_or(Unserved::Route)?;
        if target.path.has_encoded_slash() && !route.allow_encoded_slash {
            return Err(Unserved::malformed(PathError::ENCODED_SLASH));
        }
        let is_route = |reading| {
            self.generation
                .route(host, &reading)
                .is_some_and(|other| Arc::ptr_eq(route, other))
        };
        if target.path.other_readings().all(is_route) {
            Ok(route)
        } else {
            Err(Unserved::malformed(
                "the path leads to different routes, depending on who reads it",
            ))
        }
    }

    /// The name of the gateway's own cookie; none: there are no sessions.
    pub(crate) fn session_cookie(&self) -> Option<&str> {
        self.generation.sessions().map(|sessions| sessions.cookie_name())
    }
}
