//! Envoy's `ext_authz` over gRPC: `envoy.service.auth.v3.Authorization/Check`. It describes a request completely, so
//! the response can name every header that Envoy must remove.

mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use portcullis_envoy::Authorization;
use portcullis_envoy::AuthorizationServer;
use portcullis_envoy::CheckRequest;
use portcullis_envoy::CheckResponse;
use portcullis_wire::client::Client;
use tonic::Status;

use crate::answers::response;
use crate::forward_auth::CheckRecord;
use crate::forward_auth::FrontProxy;
use crate::forward_auth::FrontVerdict;
use crate::generation::Generation;
use crate::pipeline::Gateway;
use crate::pipeline::Rejection;
use crate::pipeline::audit;
use crate::telemetry::CheckCall;
use crate::transport::connection::Connection;
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::Service;
use crate::transport::connection::catch_panic;

/// The service of a listener for Envoy.
#[derive(Clone, Debug)]
pub(crate) struct ExtAuthz {
    gateway: Arc<Gateway>,
}

impl ExtAuthz {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

impl Service for ExtAuthz {
    type Body = tonic::body::Body;

    async fn answer(&self, connection: &Connection, request: Request<ReceivedBody>) -> Response<Self::Body> {
        let check = Check {
            generation: self.gateway.generation(),
            gateway: Arc::clone(&self.gateway),
            connection: connection.clone(),
        };
        // A larger message fails without a verdict, so the limit is far above the largest message that Envoy sends.
        // Envoy may also send the body, which the gateway doesn't read.
        let limit = MAX_MESSAGE + 4 * check.max_header_size();
        AuthorizationServer::new(check, limit).answer(request).await
    }

    fn reject_head(&self, _status: StatusCode, _target: &str) -> Response<Self::Body> {
        Status::invalid_argument("the head of the request is malformed or too large").into_http()
    }

    fn failure() -> Response<Self::Body> {
        Status::internal("the gateway failed").into_http()
    }
}

/// Answers one question of Envoy's.
#[derive(Debug)]
struct Check {
    gateway: Arc<Gateway>,
    generation: Arc<Generation>,
    connection: Connection,
}

impl Authorization for Check {
    /// Always returns a verdict. After an error, Envoy would apply `failure_mode_allow`, which may let the request
    /// pass.
    async fn check(&self, request: tonic::Request<CheckRequest>) -> Result<tonic::Response<CheckResponse>, Status> {
        let (metadata, _, check) = request.into_parts();
        let verdict = catch_panic(self.decide(metadata.as_ref(), check)).await;
        let response = match verdict {
            Some(verdict) => write::response(verdict).await,
            None => write::response(FrontVerdict::deny(response::failure())).await,
        };
        Ok(tonic::Response::new(response))
    }
}

impl Check {
    /// The limit on the headers of a request that Envoy asks about, in bytes.
    fn max_header_size(&self) -> usize {
        self.generation.listen().server.max_header_size
    }

    async fn decide(&self, metadata: &HeaderMap, check: CheckRequest) -> FrontVerdict {
        let peer = self.connection.peer;
        let read = |front: FrontProxy<'_>| {
            front.admit(peer, self.connection.certificate.is_some(), metadata)?;
            read::original(check, peer, &front, self.max_header_size())
        };
        let front = FrontProxy::over_grpc(&self.generation);
        let front = front.ok_or(Rejection::Front("fronts aren't served any more"));
        match front.and_then(read) {
            Ok(original) => {
                let gateway = &self.gateway;
                let call = CheckCall::Grpc {
                    method: METHOD,
                    metadata,
                };
                let handshake = || self.connection.take_handshake();
                let record = CheckRecord::begin(gateway.tracer(), &original, call, handshake);
                let (generation, limit) = (Arc::clone(&self.generation), timeout(metadata));
                let verdict = gateway.decide_for_front(generation, original, &record, limit).await;
                record.finish(verdict.status(), None);
                verdict
            }
            Err(rejection) => {
                let front = Client::behind(peer, http::uri::Scheme::HTTP, peer.address());
                audit::rejected(None, &front, &Method::POST, "Check", &rejection);
                FrontVerdict::deny(rejection.into_response())
            }
        }
    }
}

/// Three quarters of Envoy's own timeout (gRPC over HTTP/2, `grpc-timeout`). After that timeout, Envoy applies
/// `failure_mode_allow`.
fn timeout(metadata: &HeaderMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let nanoseconds = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    let timeout = digits.parse::<u32>().ok()?;
    Some(Duration::from_nanos(nanoseconds).checked_mul(timeout)? / 4 * 3)
}

const MAX_MESSAGE: usize = 1024 * 1024;
const METHOD: &str = "envoy.service.auth.v3.Authorization/Check";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_due_before_envoys_timeout() {
        for (text, expected) in [
            ("200m", Some(Duration::from_millis(150))),
            ("2S", Some(Duration::from_millis(1500))),
            ("4000000u", Some(Duration::from_secs(3))),
            ("1H", Some(Duration::from_secs(2700))),
            ("", None),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("1x", None),
            ("1ü", None),
        ] {
            let mut metadata = HeaderMap::new();
            metadata.insert("grpc-timeout", http::HeaderValue::from_bytes(text.as_bytes()).unwrap());
            assert_eq!(timeout(&metadata), expected, "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
