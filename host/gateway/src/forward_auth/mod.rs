//! Forward auth: a front (nginx, Traefik, Caddy, HAProxy or Envoy) asks the gateway about each of its requests, and
//! acts on the response. A route has the same meaning as when the gateway itself is the proxy.

mod changes;
mod check_record;
mod dialect;
pub(crate) mod fields;
mod front;
pub(crate) mod grpc;
mod verdict;

use std::sync::Arc;

use http::Request;
use http::Response;
use http::StatusCode;
use http::request::Parts;

use crate::answers::response;
use crate::generation::Generation;
use crate::pipeline::Gateway;
use crate::pipeline::Rejection;
use crate::pipeline::audit;
use crate::pipeline::target;
use crate::proxy::body::Body;
use crate::telemetry::CheckCall;
use crate::transport::connection::Connection;
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::Service;

pub(crate) use self::changes::Changes;
pub(crate) use self::check_record::CheckRecord;
pub(crate) use self::dialect::Endpoint;
pub(crate) use self::front::FrontProxy;
pub(crate) use self::verdict::Allowed;
pub(crate) use self::verdict::FrontVerdict;
pub(crate) use self::verdict::Original;

/// The service of a listener for fronts. It has the endpoints only.
#[derive(Clone, Debug)]
pub(crate) struct ForwardAuth {
    gateway: Arc<Gateway>,
}

impl ForwardAuth {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

impl Service for ForwardAuth {
    type Body = Body;

    async fn answer(&self, connection: &Connection, request: Request<ReceivedBody>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let response = match Endpoint::at(&parts.uri) {
            Some(endpoint) => {
                let generation = self.gateway.generation();
                self.gateway.subrequest(generation, &endpoint, connection, &parts).await
            }
            None => Rejection::Route.into_response(),
        };
        response::for_method(&parts.method, response)
    }

    fn reject_head(&self, status: StatusCode, target: &str) -> Response<Body> {
        let endpoint = target.parse().ok().and_then(|uri| Endpoint::at(&uri));
        match endpoint {
            Some(endpoint) => endpoint.reject_head(status),
            None => response::rejected_head(status),
        }
    }

    fn failure() -> Response<Body> {
        response::failure()
    }
}

impl Gateway {
    /// Answers a front that asks about one of its requests. Any error is answered with a denial.
    pub(crate) async fn subrequest(
        &self,
        generation: Arc<Generation>,
        endpoint: &Endpoint,
        connection: &Connection,
        parts: &Parts,
    ) -> Response<Body> {
        let dialect = endpoint.dialect;
        let read = |front: FrontProxy<'_>| {
            target::reject_ambiguous(parts)?;
            front.admit(connection.peer, connection.certificate.is_some(), &parts.headers)?;
            dialect.read(endpoint, parts, connection.peer, &front)
        };
        let front = FrontProxy::over_http(&generation).ok_or(Rejection::Front("fronts aren't served any more"));
        match front.and_then(read) {
            Ok(original) => {
                let call = CheckCall::Http {
                    parts,
                    route: dialect.path(),
                };
                let record = CheckRecord::begin(self.tracer(), &original, call, || connection.take_handshake());
                let timeout = dialect.timeout(&parts.headers);
                let verdict = self.decide_for_front(generation, original, &record, timeout).await;
                let status = verdict.status();
                let response = dialect.write(verdict);
                record.finish(status, Some(response.status()));
                response
            }
            Err(rejection) => {
                let client = generation.client(connection.peer, connection.scheme.clone(), &parts.headers);
                audit::rejected(None, &client, &parts.method, parts.uri.path(), &rejection);
                dialect.write(FrontVerdict::deny(rejection.into_response()))
            }
        }
    }
}
