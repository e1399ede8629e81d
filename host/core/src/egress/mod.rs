//! Requests of plugins to other servers: allowed by name, resolved, filtered by address, then sent to the very address
//! that was checked. Each authenticator has a pool of its own, so that a connection never crosses grants.

mod address;
mod body;
mod outbound;
mod resolver;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::Response;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::WasiBody;

use self::body::Bounded;
use self::resolver::Prohibited;
use self::resolver::Resolver;
use crate::grants::Grants;
use crate::sandbox::LogLines;

pub(crate) use self::outbound::Outbound;

const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may leave unread what it was sent, before the connection is given up. A call that ended leaves its
/// connection to flush what it had begun to send, and no one else would end that.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_HOST: usize = 32;

/// Largest response body that a plugin may be sent, in bytes.
const MAX_RESPONSE: usize = 8 << 20;

type Pool = Client<HttpsConnector<HttpConnector<Resolver>>, WasiBody>;

/// The outbound side of one authenticator. A clone shares its connections.
#[derive(Clone)]
pub(crate) struct Egress(Arc<Shared>);

struct Shared {
    grants: Arc<Grants>,
    pool: Pool,
}

impl Egress {
    pub(crate) fn new(grants: Arc<Grants>, tls: Option<&Arc<rustls::ClientConfig>>) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver::new());
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(UNREAD));
        let tls = tls.map_or_else(no_roots, |config| config.as_ref().clone());
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let pool = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .pool_timer(TokioTimer::new())
            .build(https);
        Self(Arc::new(Shared { grants, pool }))
    }

    async fn send(
        self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        log: &LogLines,
    ) -> Result<Response<WasiBody>, Error> {
        self.permit(request.uri(), log)?;
        let head = self.0.pool.request(request);
        let response = match options.and_then(|options| options.first_byte_timeout) {
            Some(limit) => tokio::time::timeout(limit, head)
                .await
                .map_err(|_| Error::ConnectionReadTimeout)?,
            None => head.await,
        };
        let response = response.map_err(|error| explain(&error, log))?;
        Ok(response.map(|body| Bounded::new(body, MAX_RESPONSE).boxed_unsync()))
    }

    fn permit(&self, uri: &http::Uri, log: &LogLines) -> Result<(), Error> {
        let host = uri.host().unwrap_or_default();
        let Some(grant) = self.0.grants.http.iter().find(|grant| grant.permits(uri)) else {
            let scheme = uri.scheme_str().unwrap_or_default();
            log.warn(&format!("denied: {scheme}://{host} is not granted (grants.http)"));
            return Err(Error::HttpRequestDenied);
        };
        // The connector takes an address for what it is and asks no resolver, so the operator must have written it.
        if address::literal(host).is_some_and(address::special) && !grant.names_address(host) {
            log.warn(&format!("denied: {host} is a special address, to be granted by itself"));
            return Err(Error::DestinationIpProhibited);
        }
        Ok(())
    }
}

fn explain(error: &hyper_util::client::legacy::Error, log: &LogLines) -> Error {
    let mut next = error.source();
    while let Some(cause) = next {
        next = cause.source();
        if cause.is::<Prohibited>() {
            log.warn("denied: the host resolves to special addresses only; grant it by its address");
            return Error::DestinationIpProhibited;
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            log.warn(&format!("an outbound TLS connection failed: {tls}"));
            return Error::TlsCertificateError;
        }
    }
    if error.is_connect() {
        Error::ConnectionRefused
    } else {
        Error::ConnectionTerminated
    }
}

/// A client that trusts nobody: https fails, and says so.
fn no_roots() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
