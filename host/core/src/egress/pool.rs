//! The connections of one authenticator. Neither the connections nor their TLS sessions are shared with other
//! authenticators.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::ResponseFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use portcullis_wire::TolerantWrites;
use portcullis_wire::connection_auth;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use tokio::net::TcpStream;
use tower::util::MapResponse;

use super::resolver::Resolver;

const CONNECT: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before the connection is closed. After a call has ended, its connection
/// still sends what was begun, and nothing else would end that.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(20);
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
}

type HttpClient = Client<HttpsConnector<Dialer>, Full<Bytes>>;

/// Dials TCP. A server that answers before it has read the whole request is heard, also if it closes then.
type Dialer = MapResponse<HttpConnector<Resolver>, fn(TokioIo<TcpStream>) -> TokioIo<TolerantWrites<TcpStream>>>;

impl Pool {
    /// A pool that dials what the resolver allows. Without `tls` nobody is trusted: https fails, and says so.
    pub(super) fn new(resolver: Resolver, tls: Option<&Arc<ClientConfig>>) -> Self {
        let https = connector(resolver, tls);
        Self {
            exclusive: client(https.clone(), 0),
            shared: client(https, MAX_IDLE_PER_HOST),
        }
    }

    /// Sends a request, and waits for the head of the response.
    pub(super) fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        if connection_auth::may_follow_from_request(request.headers()) {
            self.exclusive.request(request)
        } else {
            self.shared.request(request)
        }
    }
}

fn connector(resolver: Resolver, tls: Option<&Arc<ClientConfig>>) -> HttpsConnector<Dialer> {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    #[cfg(target_os = "linux")]
    http.set_tcp_user_timeout(Some(UNREAD));
    let mut tls = tls.map_or_else(trusting_nobody, |config| config.as_ref().clone());
    tls.resumption = Resumption::default();
    // The connector insists on choosing the protocols itself.
    tls.alpn_protocols.clear();
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Dialer::new(http, |stream| {
            TokioIo::new(TolerantWrites::new(stream.into_inner()))
        }))
}

fn client(https: HttpsConnector<Dialer>, max_idle_per_host: usize) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(max_idle_per_host)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEAD)
        .http1_max_headers(MAX_HEADERS)
        .build(https)
}

fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
