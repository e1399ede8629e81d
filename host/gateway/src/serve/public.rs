//! The service of the public listener: requests of clients, and questions of fronts that have no listener of their own.

use std::sync::Arc;

use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use http_body::Body as _;
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
}

impl Public {
    /// `front` recognises the fronts that may ask here. `None` if they have their own listener, or if there are none.
    pub(crate) fn new(gateway: Arc<Gateway>, front: Option<FrontProxy>) -> Self {
        Self {
            gateway,
            front,
            bound: Arc::default(),
        }
    }

    async fn serve(&self, connection: &Connection, parts: Parts, body: ReceivedBody) -> Response<Body> {
        let client = self
            .gateway
            .client(connection.peer, connection.scheme.clone(), &parts.headers);
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

impl Service for Public {
    type Body = Body;

    fn for_connection(self) -> Self {
        Self {
            bound: Arc::default(),
            ..self
        }
    }

    async fn answer(&self, connection: &Connection, request: Request<ReceivedBody>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let method = parts.method.clone();
        let response = match (&self.front, Endpoint::at(&parts.uri)) {
            (Some(front), Some(endpoint)) => self.gateway.subrequest(front, &endpoint, connection, &parts).await,
            _ => {
                let is_trusted = self.gateway.generation().trusted_proxies().trust(&connection.peer);
                let id = RequestId::of(&parts.headers, is_trusted);
                id.write(&mut parts.headers);
                parts.extensions.insert(id.clone());
                let mut response = self.serve(connection, parts, body).await;
                id.write(response.headers_mut());
                response
            }
        };
        let mut response = response::for_method(&method, response);
        if connection.scheme == Scheme::HTTPS
            && let Some(hsts) = self.gateway.generation().hsts()
        {
            let entry = response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY);
            entry.or_insert_with(|| hsts.clone());
        }
        response
    }

    fn reject_head(&self, status: StatusCode, target: &str) -> Response<Body> {
        let endpoint = target.parse().ok().and_then(|uri| Endpoint::at(&uri));
        match endpoint.filter(|_| self.front.is_some()) {
            Some(endpoint) => endpoint.reject_head(status),
            None => response::rejected_head(status),
        }
    }

    fn failure() -> Response<Body> {
        response::failure()
    }
}
