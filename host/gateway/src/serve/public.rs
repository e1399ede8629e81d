//! The service of the public listener: requests of clients, and questions of fronts that have no listener of their own.

use std::sync::Arc;

use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use http_body::Body as _;
use http_body_util::Either;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use crate::answers::response;
use crate::forward_auth::Endpoint;
use crate::generation::Generation;
use crate::login;
use crate::pipeline::Accepted;
use crate::pipeline::Entrance;
use crate::pipeline::Gateway;
use crate::proxy::BoundConnections;
use crate::proxy::body::Body;
use crate::serve::access;
use crate::serve::access::CurrentAccessLog;
use crate::serve::access::LoggedBody;
use crate::telemetry::Trace;
use crate::transport::connection::Connection;
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::Service;

/// The service of the public listener.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    gateway: Arc<Gateway>,
    /// The connections to upstreams that belong to one client connection.
    bound: Arc<BoundConnections>,
    access_log: CurrentAccessLog,
}

impl Public {
    pub(crate) fn new(gateway: Arc<Gateway>, access_log: CurrentAccessLog) -> Self {
        Self {
            access_log,
            gateway,
            bound: Arc::default(),
        }
    }

    /// The trace of a request. The first one of a connection has its TLS handshake. `None` if requests are not traced.
    fn trace(&self, connection: &Connection, parts: &Parts, client: &Client, id: &RequestId) -> Option<Trace> {
        let tracer = self.gateway.tracer()?;
        Some(tracer.begin(parts, client, id, connection.take_handshake()))
    }

    async fn serve(
        &self,
        generation: &Arc<Generation>,
        client: Client,
        connection: &Connection,
        parts: Parts,
        body: ReceivedBody,
    ) -> Response<Body> {
        let client = client.with_certificate(connection.certificate.clone());
        let client = client.with_channel_binding(connection.channel_binding.clone());
        let entrance = Entrance::Public {
            body: body.size_hint().lower(),
        };
        // Boxed, because the future of a request is moved several times before it is polled, and libc copies more than 4 KiB in another
        // and slower way.
        let decided = Box::pin(
            self.gateway
                .read_and_decide(Arc::clone(generation), entrance, client, parts),
        );
        match decided.await {
            Ok(Accepted::Forward(outgoing)) => self.gateway.forward(*outgoing, connection, &self.bound, body).await,
            Ok(Accepted::Internal(request)) => {
                let visit = request.visit(generation);
                // Boxed, because few requests are for these pages.
                Box::pin(login::answer(
                    &visit,
                    &request.target.path,
                    self.gateway.exchanges(),
                    body,
                ))
                .await
            }
            Err(rejection) => rejection.into_response(),
        }
    }
}

/// Whether fronts ask here, because they have no listener of their own.
fn serves_fronts(generation: &Generation) -> bool {
    let config = generation.listen().forward_auth.as_ref();
    config.is_some_and(|config| config.listen.is_none())
}

/// The body of a response: to a front, or to a client.
type MaybeLogged = Either<Body, LoggedBody>;

impl Service for Public {
    type Body = MaybeLogged;

    fn for_connection(self) -> Self {
        Self {
            bound: Arc::default(),
            ..self
        }
    }

    async fn answer(&self, connection: &Connection, request: Request<ReceivedBody>) -> Response<MaybeLogged> {
        let (mut parts, body) = request.into_parts();
        let method = parts.method.clone();
        let generation = self.gateway.generation();
        let secured = |mut response: Response<Body>| {
            if connection.scheme == Scheme::HTTPS
                && let Some(hsts) = generation.hsts()
            {
                let entry = response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY);
                entry.or_insert_with(|| hsts.clone());
            }
            response
        };
        if let Some(endpoint) = Endpoint::at(&parts.uri).filter(|_| serves_fronts(&generation)) {
            let subrequest = self
                .gateway
                .subrequest(Arc::clone(&generation), &endpoint, connection, &parts);
            let response = Box::pin(subrequest).await;
            return secured(response::for_method(&method, response)).map(Either::Left);
        }
        let client = generation.client(connection.peer, connection.scheme.clone(), &parts.headers);
        let id = RequestId::of(&parts.headers, client.peer_is_trusted);
        id.write(&mut parts.headers);
        parts.extensions.insert(id.clone());
        let trace = self.trace(connection, &parts, &client, &id);
        let request = access::Request::begin(&self.access_log, &id, &client, &mut parts, trace);
        let response = self.serve(&generation, client, connection, parts, body).await;
        let mut response = secured(response::for_method(&method, response));
        id.write(response.headers_mut());
        request.response(response).map(Either::Right)
    }

    fn reject_head(&self, status: StatusCode, target: &str) -> Response<MaybeLogged> {
        let endpoint = target.parse().ok().and_then(|uri| Endpoint::at(&uri));
        let response = match endpoint.filter(|_| serves_fronts(&self.gateway.generation())) {
            Some(endpoint) => endpoint.reject_head(status),
            None => response::rejected_head(status),
        };
        response.map(Either::Left)
    }

    fn failure() -> Response<MaybeLogged> {
        response::failure().map(Either::Left)
    }
}
