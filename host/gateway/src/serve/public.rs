//! The service of the public listener: requests of clients, and questions of fronts that have no listener of their own.

use std::sync::Arc;

use http::Request;
use http::Response;
use http::header;
use http::request::Parts;
use http::uri::Scheme;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::answers::internal_pages;
use crate::answers::response;
use crate::forward_auth::Endpoint;
use crate::forward_auth::FrontProxy;
use crate::pipeline::Accepted;
use crate::pipeline::Entrance;
use crate::pipeline::Gateway;
use crate::proxy::body::Body;
use crate::transport::connection::Connection;
use crate::transport::connection::Service;

/// The service of the public listener.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    gateway: Arc<Gateway>,
    front: Option<FrontProxy>,
}

impl Public {
    /// `front` recognises the fronts that may ask here. `None` if they have their own listener, or if there are none.
    pub(crate) fn new(gateway: Arc<Gateway>, front: Option<FrontProxy>) -> Self {
        Self { gateway, front }
    }

    async fn serve(&self, connection: &Connection, parts: Parts, body: Incoming) -> Response<Body> {
        let client = self
            .gateway
            .client(connection.peer, connection.scheme.clone(), &parts.headers);
        let client = client.with_certificate(connection.certificate.clone());
        let client = client.with_channel_binding(connection.channel_binding.clone());
        let entrance = Entrance::Public {
            body: body.size_hint().lower(),
        };
        match self.gateway.read_and_decide(entrance, client, parts).await {
            Ok(Accepted::Forward(outgoing)) => self.gateway.forward(*outgoing, connection, body).await,
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

    async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let response = match (&self.front, Endpoint::at(&parts.uri)) {
            (Some(front), Some(endpoint)) => self.gateway.subrequest(front, &endpoint, connection, &parts).await,
            _ => self.serve(connection, parts, body).await,
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

    fn failure() -> Response<Body> {
        response::failure()
    }
}
