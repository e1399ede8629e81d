//! Sends messages to a collector: by gRPC, or as Protobuf over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::StatusCode;
use http::Uri;
use http::header;
use http::uri::PathAndQuery;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis::SecretHeader;
use portcullis_loader::tls::trust;
use prost::Message as _;
use rustls::ClientConfig;
use tonic::Code;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;

use super::signal::Signal;
use crate::config::OtlpProtocol;
use crate::config::TelemetryConfig;

/// A collector.
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    endpoint: Uri,
    protocol: OtlpProtocol,
    headers: Vec<(http::HeaderName, SecretHeader)>,
    timeout: Duration,
}

/// Why a message wasn't taken.
pub(super) struct Failed {
    pub(super) why: String,
    /// Whether it may be taken later.
    pub(super) may_pass: bool,
}

impl Failed {
    fn passing(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            may_pass: true,
        }
    }
}

impl Transport {
    pub(super) fn new(config: &TelemetryConfig) -> Result<Self, rustls::Error> {
        let tls = match &config.tls {
            Some(tls) => ClientConfig::clone(tls),
            None => trust::client_of_system()?,
        };
        let is_grpc = config.protocol == OtlpProtocol::Grpc;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match is_grpc {
            true => connector.enable_http2().build(),
            false => connector.enable_http1().build(),
        };
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .http2_only(is_grpc)
                .build(connector),
            endpoint: config.endpoint.clone(),
            protocol: config.protocol,
            headers: config.headers.clone(),
            timeout: config.timeout,
        })
    }

    /// Sends a message. Returns how many of its spans or data points the collector rejects.
    pub(super) async fn send<S: Signal>(&self, request: &S) -> Result<u64, Failed> {
        let sent = async {
            match self.protocol {
                OtlpProtocol::Grpc => self.send_grpc(request).await,
                OtlpProtocol::HttpProtobuf => self.send_http(request).await,
            }
        };
        let response = tokio::time::timeout(self.timeout, sent)
            .await
            .map_err(|_| Failed::passing(format!("it gave no answer in {:?}", self.timeout)))??;
        Ok(S::rejected(response))
    }

    async fn send_grpc<S: Signal>(&self, request: &S) -> Result<S::Response, Failed> {
        let mut grpc = Grpc::with_origin(self.client.clone(), self.endpoint.clone());
        grpc.ready().await.map_err(|error| Failed::passing(error.to_string()))?;
        let mut message = tonic::Request::new(request.clone());
        *message.metadata_mut() = MetadataMap::from_headers(self.own_headers());
        let codec = ProstCodec::<S, S::Response>::default();
        let answer = grpc.unary(message, PathAndQuery::from_static(S::METHOD), codec);
        answer.await.map(tonic::Response::into_inner).map_err(|status| Failed {
            why: of_status(&status),
            may_pass: may_pass(status.code()),
        })
    }

    async fn send_http<S: Signal>(&self, request: &S) -> Result<S::Response, Failed> {
        let path = format!("{}{}", self.endpoint.path().trim_end_matches('/'), S::PATH);
        let mut parts = self.endpoint.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        let broken = |error: http::Error| Failed {
            why: error.to_string(),
            may_pass: false,
        };
        let uri = Uri::from_parts(parts).map_err(|error| broken(error.into()))?;
        let body = Body::new(Full::new(Bytes::from(request.encode_to_vec())));
        let mut message = Request::post(uri).body(body).map_err(broken)?;
        *message.headers_mut() = self.own_headers();
        let kind = HeaderValue::from_static(PROTOBUF);
        message.headers_mut().insert(header::CONTENT_TYPE, kind);
        let answer = self.client.request(message).await;
        let (head, body) = answer.map_err(|error| Failed::passing(innermost(&error)))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| Failed::passing(error.to_string()))?.to_bytes();
        if !head.status.is_success() {
            return Err(Failed {
                why: format!("it answered {}", head.status),
                may_pass: RETRYABLE.contains(&head.status),
            });
        }
        // A collector that has taken everything may say so without a message.
        Ok(S::Response::decode(body).unwrap_or_default())
    }

    fn own_headers(&self) -> HeaderMap {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.clone(), value.get())).collect()
    }
}

/// Whether a later attempt may succeed (OTLP 1.x, "Failures"). `Unknown` is what a lost connection looks like.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Aborted
            | Code::Cancelled
            | Code::DataLoss
            | Code::DeadlineExceeded
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::Unavailable
            | Code::Unknown
    )
}

fn of_status(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => innermost(source),
        None => format!("it answered {:?}: {}", status.code(), status.message().escape_debug()),
    }
}

/// What really happened, without the layers above.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

const PROTOBUF: &str = "application/x-protobuf";
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// OTLP 1.x, "Retryable Response Codes".
const RETRYABLE: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];
