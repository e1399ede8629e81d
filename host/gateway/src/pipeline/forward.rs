//! The last step on the public listener: sends a request to its upstream, and answers the client if no response
//! arrives. Errors of the client's body are told apart from errors of the upstream.

use std::sync::Arc;
use std::time::Instant;

use http::Method;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http_body_util::Either;
use portcullis::Standing;
use portcullis_wire::cookies;
use portcullis_wire::request_id::RequestId;

use crate::answers::response;
use crate::answers::whoami;
use crate::config::UpstreamConfig;
use crate::generation::Destination;
use crate::headers::cors;
use crate::headers::subprotocol::OfferedToken;
use crate::one_line::one_line;
use crate::pipeline::Gateway;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::record::Record;
use crate::proxy;
use crate::proxy::BoundConnections;
use crate::proxy::Over;
use crate::proxy::Owner;
use crate::proxy::Unanswered;
use crate::proxy::Upgrade;
use crate::proxy::UpstreamGroup;
use crate::proxy::body::Body;
use crate::proxy::body::BodyError;
use crate::proxy::body::ClientBody;
use crate::transport::connection::Connection;
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::fault;

impl Gateway {
    /// Forwards a request. The response carries what the authenticator and the session add to it.
    pub(crate) async fn forward(
        &self,
        mut outgoing: Outgoing,
        connection: &Connection,
        bound: &Arc<BoundConnections>,
        body: ReceivedBody,
    ) -> Response<Body> {
        let route = Arc::clone(outgoing.route());
        let mut response = match &route.upstream {
            Some(Destination::Upstream(upstream)) => {
                // Boxed so that a request that is rejected or answered here holds no room for an exchange.
                Box::pin(self.exchange(&mut outgoing, upstream, connection, bound, body)).await
            }
            Some(Destination::WhoAmI) => {
                let parts = outgoing.parts();
                whoami::answer(&parts.method, &parts.headers, outgoing.user())
            }
            None => response::error(StatusCode::NOT_FOUND, "Not found"),
        };
        outgoing.into_response_headers().apply(response.headers_mut());
        response
    }

    async fn exchange(
        &self,
        outgoing: &mut Outgoing,
        upstream: &Arc<UpstreamGroup>,
        connection: &Connection,
        bound: &Arc<BoundConnections>,
        body: ReceivedBody,
    ) -> Response<Body> {
        let mut received = outgoing.take_parts();
        let upgrade = Upgrade::requested(&mut received);
        let standing = received.extensions.remove::<Standing>();
        let (id, method) = (received.extensions.remove::<RequestId>(), received.method.clone());
        let record = Record::of(&received).cloned();
        let offered = received.extensions.remove::<OfferedToken>();
        let origin = received.headers.get(header::ORIGIN).cloned();
        let owner = owner(outgoing, bound, received.version);
        let (head, route) = (outgoing.head(), outgoing.route());
        let mut written = match head.write(&upstream.config.base, received) {
            Ok(written) => written,
            Err(error) => {
                let request_id = id.as_ref().map(RequestId::as_str);
                tracing::warn!(
                    request_id, %method, path = %outgoing.path(), route = route.name, why = %error,
                    "the request can't be written for the upstream"
                );
                return response::error(StatusCode::FORBIDDEN, "Forbidden");
            }
        };
        let trace = record.as_ref().and_then(|record| record.trace());
        let span = trace.map(|trace| {
            let server = match upstream.config.servers.as_slice() {
                [server] => Some(server.address.to_string()),
                _ => None,
            };
            trace.upstream(&upstream.config.name, server.as_deref(), &mut written)
        });
        let body = ClientBody::new(body, route.config.max_body_size, outgoing.generation().body_timeout());
        let request = proxy::Forward {
            head: written,
            body: Either::Left(body),
            upgrade,
            over: standing.map(|standing| self.over(standing, id.as_ref())),
            timeout: route.config.timeout,
            slot: connection.slot.clone(),
            owner,
            trailers: Arc::clone(outgoing.generation().trailers()),
        };
        let started = Instant::now();
        let answered = self.proxy.forward(upstream, request).await;
        if let Some(record) = &record {
            record.set_upstream(started.elapsed());
        }
        if let Some(span) = span {
            match &answered {
                Ok(response) => span.answered(response.status()),
                Err(unanswered) => span.failed(unanswered.error.label()),
            }
        }
        match answered {
            Ok(mut response) => {
                if let Some(offered) = offered {
                    offered.answer(response.status(), response.headers_mut());
                }
                cookies::retain_response_cookies(response.headers_mut(), |name| head.passes_cookie(name));
                if let Some(mapping) = head.mapping(&upstream.config) {
                    mapping.rewrite(response.headers_mut());
                }
                response
            }
            Err(unanswered) => {
                let mut response = match unanswered.error.body_error() {
                    Some(why) => broken_body(id.as_ref(), &method, outgoing, why),
                    None => unreachable_upstream(id.as_ref(), &method, outgoing, &upstream.config, &unanswered),
                };
                if let Some(cors) = &route.config.cors {
                    cors::allow(cors, origin.as_ref(), response.headers_mut());
                }
                response
            }
        }
    }

    /// Waits until what a session has admitted must end, and tells why.
    fn over(&self, standing: Standing, id: Option<&RequestId>) -> Over {
        let gates = self.everybody.subscribe();
        let id = id.cloned();
        Box::pin(async move {
            let why = standing.over(gates).await;
            let session = standing.session();
            tracing::info!(
                request_id = id.as_ref().map(RequestId::as_str),
                user = %session.identity().name().escape_debug(),
                authenticator = session.authenticator(),
                session_id = %session.id(),
                why = &*one_line(&why),
                "an upgraded connection is closed because of its session"
            );
        })
    }
}

/// Who may keep a connection to an upstream that was authenticated. `None` if requests of others can come over the
/// client's connection: at once over HTTP/2, and in turn from a proxy.
fn owner(outgoing: &Outgoing, bound: &Arc<BoundConnections>, version: Version) -> Option<Owner> {
    if version >= Version::HTTP_2 || outgoing.client().peer_is_trusted {
        return None;
    }
    let sender = outgoing.user();
    Some(Owner {
        connections: Arc::clone(bound),
        sender: sender.map(|user| format!("{} {}", user.authenticator(), user.identity().name())),
    })
}

/// The response to a request whose body is broken, too large or late. If the client is gone, the response is dropped.
fn broken_body(id: Option<&RequestId>, method: &Method, outgoing: &Outgoing, why: &BodyError) -> Response<Body> {
    tracing::info!(
        request_id = id.map(RequestId::as_str),
        %method,
        path = %outgoing.path(),
        route = outgoing.route().name,
        client = %outgoing.client().shown_address(),
        %why,
        "a request's body ended early"
    );
    let (bound, status, message) = match why {
        BodyError::Broken(_) => return response::error(StatusCode::BAD_REQUEST, "The body is broken"),
        BodyError::Size => ("max_body_size", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
        BodyError::Timeout => (
            "body_timeout",
            StatusCode::REQUEST_TIMEOUT,
            "The body did not arrive in time",
        ),
    };
    fault::count(bound);
    response::error(status, message)
}

fn unreachable_upstream(
    id: Option<&RequestId>,
    method: &Method,
    outgoing: &Outgoing,
    upstream: &UpstreamConfig,
    unanswered: &Unanswered,
) -> Response<Body> {
    let Unanswered { server, error } = unanswered;
    tracing::warn!(
        request_id = id.map(RequestId::as_str),
        %method,
        path = %outgoing.path(),
        route = outgoing.route().name,
        client = %outgoing.client().shown_address(),
        upstream = upstream.name,
        server,
        why = %error,
        "the upstream gave no response"
    );
    match error.status() {
        StatusCode::GATEWAY_TIMEOUT => {
            response::error(StatusCode::GATEWAY_TIMEOUT, "The upstream did not answer in time")
        }
        StatusCode::SERVICE_UNAVAILABLE => response::unavailable("The upstream is busy"),
        status => response::error(status, "The upstream can't be reached"),
    }
}
