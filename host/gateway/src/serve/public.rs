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

use crate::answers::internal_pages;
use crate::answers::response;
use crate::forward_auth::Endpoint;
use crate::forward_auth::FrontProxy;
use crate::pipeline::Accepted;
use crate::pipeline::Entrance;
use crate::pipeline::Gateway;
use crate::proxy::BoundConnections;
use crate::proxy::body::Body;
use crate::serve::access;
use crate::serve::access::AccessLog;
use crate::serve::access::LoggedBody;
use crate::transport::connection::Connection;
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::Service;

/// The service of the public listener.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    gateway: Arc<Gateway>,
    front: Option<FrontProxy>,
    /// The connections to upstreams that belong to one client connection.
    bound: Arc<BoundConnections>,
    /// `None` if there is no access log.
    access_log: Option<AccessLog>,
}

impl Public {
    /// `front` recognises the fronts that may ask here. `None` if they have their own listener, or if there are none.
    pub(crate) fn new(gateway: Arc<Gateway>, front: Option<FrontProxy>, access_log: Option<AccessLog>) -> Self {
        Self {
            access_log,
            gateway,
            front,
            bound: Arc::default(),
        }
    }

    async fn serve(&self, client: Client, connection: &Connection, parts: Parts, body: ReceivedBody) -> Response<Body> {
        let client = client.with_certificate(connection.certificate.clone());
        let client = client.with_channel_binding(connection.channel_binding.clone());
        let entrance = Entrance::Public {
            body: body.size_hint().lower(),
        };
        match self.gateway.read_and_decide(entrance, client, parts).await {
            Ok(Accepted::Forward(outgoing)) => self.gateway.forward(*outgoing, connection, &self.bound, body).await,
            Ok(Accepted::Internal(request)) => {
                let generation = self.gateway.generation();
                let (path, parts) = (&request.target.path, &request.parts);
                internal_pages::answer(path, &parts.method, &parts.headers, generation.sessions())
            }
            Err(rejection) => rejection.into_response(),
        }
    }
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
        let secured = |mut response: Response<Body>| {
            if connection.scheme == Scheme::HTTPS
                && let Some(hsts) = self.gateway.generation().hsts()
            {
                let entry = response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY);
                entry.or_insert_with(|| hsts.clone());
            }
            response
        };
        if let (Some(front), Some(endpoint)) = (&self.front, Endpoint::at(&parts.uri)) {
            let response = self.gateway.subrequest(front, &endpoint, connection, &parts).await;
            return secured(response::for_method(&method, response)).map(Either::Left);
        }
        let client = self
            .gateway
            .client(connection.peer, connection.scheme.clone(), &parts.headers);
        let id = RequestId::of(&parts.headers, client.peer_is_trusted);
        id.write(&mut parts.headers);
        parts.extensions.insert(id.clone());
        let request = access::Request::begin(self.access_log.as_ref(), &id, &client, &mut parts);
        let response = self.serve(client, connection, parts, body).await;
        let mut response = secured(response::for_method(&method, response));
        id.write(response.headers_mut());
        request.response(response).map(Either::Right)
    }

    fn reject_head(&self, status: StatusCode, target: &str) -> Response<MaybeLogged> {
        let endpoint = target.parse().ok().and_then(|uri| Endpoint::at(&uri));
        let response = match endpoint.filter(|_| self.front.is_some()) {
            Some(endpoint) => endpoint.reject_head(status),
            None => response::rejected_head(status),
        };
        response.map(Either::Left)
    }

    fn failure() -> Response<MaybeLogged> {
        response::failure().map(Either::Left)
    }
}
