//! The way of one request: read its target, see its client, find its route, strip what it may not say, ask who sent it,
//! then answer or forward it.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::Request;
use http::Response;
use http::StatusCode;
use http::request::Parts;
use http::uri::Authority;
use http::uri::Scheme;
use http_body::Body as _;
use hyper::body::Incoming;
use ipnet::IpNet;

use crate::config::Bounds;
use crate::config::Cookies;
use crate::config::ServerConfig;
use crate::config::Upstream;
use crate::generation::Generation;
use crate::generation::Route;
use crate::serve::admission;
use crate::serve::answer;
use crate::serve::answer::Body;
use crate::serve::audit;
use crate::serve::body::BodyError;
use crate::serve::body::ClientBody;
use crate::serve::client::Client;
use crate::serve::connection::Connection;
use crate::serve::connection::Service;
use crate::serve::connection::fault;
use crate::serve::forward_auth::Endpoint;
use crate::serve::forward_auth::Front;
use crate::serve::headers::cookies;
use crate::serve::headers::forwarded;
use crate::serve::headers::identity::IdentityNames;
use crate::serve::outgoing::Outgoing;
use crate::serve::own;
use crate::serve::path::PathError;
use crate::serve::proxy::Proxy;
use crate::serve::proxy::ProxyError;
use crate::serve::proxy::Upgrade;
use crate::serve::target::Target;
use crate::serve::target::Unserved;
use crate::serve::whoami;

/// A configuration at work.
#[derive(Debug)]
pub(crate) struct Gateway {
    generation: Arc<Generation>,
    identity_names: IdentityNames,
    trusted_proxies: Vec<IpNet>,
    bounds: Bounds,
    proxy: Proxy,
    front: Option<Front>,
}

impl Service for Arc<Gateway> {
    type Body = Body;

    async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        Gateway::answer(self, connection, request).await
    }

    fn failure() -> Response<Body> {
        answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }
}

impl Gateway {
    /// `front`: whoever may ask about requests of its own on the public listener.
    pub(crate) fn new(generation: Arc<Generation>, config: &ServerConfig, front: Option<Front>) -> Self {
        let identity_names = IdentityNames::new(generation.identity_headers());
        Self {
            generation,
            identity_names,
            trusted_proxies: config.trusted_proxies.clone(),
            bounds: config.bounds,
            proxy: Proxy::new(),
            front,
        }
    }

    /// Answers one request of the public listener.
    pub(crate) async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let client = self.client(connection.peer, connection.scheme.clone(), &parts.headers);
        let client = client.with_certificate(connection.certificate.clone());
        let response = match self.serve(connection, &client, parts, body).await {
            Ok(response) => response,
            Err(unserved) => {
                let response = unserved.answer();
                audit::unserved(&client, &method, uri.path(), &unserved, response.status());
                response
            }
        };
        answer::for_method(&method, response)
    }

    /// Ends what outlives a request: upgraded connections.
    pub(crate) async fn close(&self) {
        self.proxy.close().await;
    }

    /// Who sent a request with these headers over a connection from this peer.
    pub(crate) fn client(&self, peer: SocketAddr, scheme: Scheme, headers: &HeaderMap) -> Client {
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
        if own::covers(&target.path) {
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
            return Ok(own::answer(
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
            Upstream::Http { authority, base } => {
                let outgoing = Outgoing {
                    route,
                    client,
                    target: &target,
                    user,
                    session_cookie: self.session_cookie(),
                };
                self.forward(outgoing, authority, base, connection, parts, body).await
            }
        };
        Ok(pass.mark(response))
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

    async fn forward(
        &self,
        outgoing: Outgoing<'_>,
        authority: &Authority,
        base: &str,
        connection: &Connection,
        mut parts: Parts,
        body: Incoming,
    ) -> Response<Body> {
        let route = outgoing.route;
        let upgrade = Upgrade::requested(&mut parts);
        let head = match outgoing.head(authority, base, parts) {
            Ok(head) => head,
            Err(error) => {
                tracing::warn!(route = route.name, why = %error, "a user can't be sent to the upstream");
                return answer::error(StatusCode::FORBIDDEN, "Forbidden");
            }
        };
        let slot = Arc::clone(&connection.slot);
        let body = ClientBody::new(body, route.max_body_size, self.bounds.body_timeout);
        let client = outgoing.client.address;
        match self.proxy.forward(head, body, upgrade, route.timeout, slot).await {
            Ok(response) => self.without_foreign_cookies(route, response),
            Err(error) => match error.of_body() {
                Some(why) => broken_body(route, client, why),
                None => unreachable_upstream(route, authority, &error),
            },
        }
    }

    fn without_foreign_cookies(&self, route: &Route, mut response: Response<Body>) -> Response<Body> {
        let session = self.session_cookie();
        cookies::keep_set(response.headers_mut(), |name| {
            route.cookies == Cookies::Pass && session.is_none_or(|session| session.as_bytes() != name)
        });
        response
    }

    /// The name of the gateway's own cookie; none: there are no sessions.
    pub(crate) fn session_cookie(&self) -> Option<&str> {
        self.generation.sessions().map(|sessions| sessions.cookie_name())
    }
}

/// The answer to a request whose body did not come as it should. Nobody waits for one whose client is gone.
fn broken_body(route: &Route, client: IpAddr, why: &BodyError) -> Response<Body> {
    tracing::info!(route = route.name, %client, %why, "a request's body ended early");
    let (bound, status, message) = match why {
        BodyError::Broken(_) => return answer::error(StatusCode::BAD_REQUEST, "The body is broken"),
        BodyError::Size => ("max_body_size", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
        BodyError::Still => (
            "body_timeout",
            StatusCode::REQUEST_TIMEOUT,
            "The body did not arrive in time",
        ),
    };
    fault::count(bound);
    answer::error(status, message)
}

fn unreachable_upstream(route: &Route, authority: &Authority, error: &ProxyError) -> Response<Body> {
    tracing::warn!(route = route.name, upstream = %authority, why = %error, "the upstream gave no response");
    match error.status() {
        StatusCode::GATEWAY_TIMEOUT => {
            answer::error(StatusCode::GATEWAY_TIMEOUT, "The upstream did not answer in time")
        }
        status => answer::error(status, "The upstream can't be reached"),
    }
}
