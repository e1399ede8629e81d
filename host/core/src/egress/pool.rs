//! The connections of one authenticator. Neither the connections nor their TLS sessions are shared with other
//! authenticators.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Uri;
use http::header;
use http::uri::Scheme;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::ResponseFuture;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use portcullis_wire::connection_auth;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use tower::Service;

use super::dialer::BoxError;
use super::dialer::Dialer;
use super::dialer::Dialled;
use super::played;
use super::played::PlayedServers;
use super::proxy::OutboundProxy;

const IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_HOST: usize = 32;

/// The most bytes of a response's head. The parser reads up to twice as much before it fails.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// The most header fields of a response.
const MAX_HEADERS: usize = 100;

/// The connections of one authenticator.
#[derive(Clone)]
pub(super) struct Pool {
    shared: HttpClient,
    /// Keeps no connection: what a request may have authenticated must not carry another user's requests.
    exclusive: HttpClient,
    proxy: Option<OutboundProxy>,
}

type HttpClient = Client<Connector, Full<Bytes>>;

impl Pool {
    /// A pool whose connections the dialer opens. Without `tls` nobody is trusted: https fails, and says so.
    pub(super) fn new(dialer: Dialer, tls: Option<&Arc<ClientConfig>>) -> Self {
        let proxy = dialer.proxy().cloned();
        Self::of(Connector::Network(https(dialer, tls)), proxy)
    }

    /// A pool whose connections lead to servers that this process plays.
    pub(super) fn played(servers: &Arc<dyn PlayedServers>) -> Self {
        Self::of(Connector::Played(Arc::clone(servers)), None)
    }

    fn of(connector: Connector, proxy: Option<OutboundProxy>) -> Self {
        Self {
            proxy,
            exclusive: client(connector.clone(), 0),
            shared: client(connector, MAX_IDLE_PER_HOST),
        }
    }

    /// Sends a request, and waits for the head of the response.
    pub(super) fn request(&self, mut request: Request<Full<Bytes>>) -> ResponseFuture {
        if request.uri().scheme() == Some(&Scheme::HTTP)
            && let Some(proxy) = self.proxy.as_ref().and_then(|proxy| proxy.for_request(request.uri()))
            && let Some(credentials) = proxy.credentials
        {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, credentials);
        }
        if connection_auth::may_follow_from_request(request.headers()) {
            self.exclusive.request(request)
        } else {
            self.shared.request(request)
        }
    }
}

/// Where connections lead.
#[derive(Clone)]
enum Connector {
    Network(HttpsConnector<Dialer>),
    Played(Arc<dyn PlayedServers>),
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Dialled>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Network(https) => https.poll_ready(context),
            Self::Played(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        match self {
            Self::Network(https) => https.call(server),
            Self::Played(servers) => {
                let connected = played::connect(servers, server);
                let connected = connected.map(|stream| MaybeHttpsStream::Http(Dialled::played(stream)));
                Box::pin(std::future::ready(connected.map_err(Into::into)))
            }
        }
    }
}

fn https(dialer: Dialer, tls: Option<&Arc<ClientConfig>>) -> HttpsConnector<Dialer> {
    let mut tls = tls.map_or_else(trusting_nobody, |config| config.as_ref().clone());
    tls.resumption = Resumption::default();
    // The connector insists on choosing the protocols itself.
    tls.alpn_protocols.clear();
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(dialer)
}

fn client(connector: Connector, max_idle_per_host: usize) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(max_idle_per_host)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEAD)
        .http1_max_headers(MAX_HEADERS)
        .build(connector)
}

fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
