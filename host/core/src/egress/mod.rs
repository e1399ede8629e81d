//! Requests of plugins to other servers: allowed by name, resolved, filtered by address, then sent to the very address
//! that was checked. Each authenticator has a pool of its own, so that a connection never crosses grants.

mod address;
mod body;
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
use wasmtime_wasi_http::WasiHttpHooks;

use self::body::Bounded;
use self::resolver::Prohibited;
use self::resolver::Resolver;
use crate::grants::Grants;

const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_HOST: usize = 32;

/// Largest response body that a plugin may be sent, in bytes.
const MAX_RESPONSE: usize = 8 << 20;

type Pool = Client<HttpsConnector<HttpConnector<Resolver>>, WasiBody>;

/// The outbound side of one authenticator. A clone shares its connections.
#[derive(Clone)]
pub(crate) struct Egress(Arc<Shared>);

struct Shared {
    authenticator: Arc<str>,
    grants: Arc<Grants>,
    pool: Pool,
}

impl Egress {
    pub(crate) fn new(authenticator: Arc<str>, grants: Arc<Grants>, tls: Option<&Arc<rustls::ClientConfig>>) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
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
        Self(Arc::new(Shared {
            authenticator,
            grants,
            pool,
        }))
    }

    async fn send(
        self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        self.permit(request.uri())?;
        let head = self.0.pool.request(request);
        let response = match options.and_then(|options| options.first_byte_timeout) {
            Some(limit) => tokio::time::timeout(limit, head)
                .await
                .map_err(|_| Error::ConnectionReadTimeout)?,
            None => head.await,
        };
        let response = response.map_err(|error| self.explain(&error))?;
        Ok(response.map(|body| Bounded::new(body, MAX_RESPONSE).boxed_unsync()))
    }

    fn permit(&self, uri: &http::Uri) -> Result<(), Error> {
        let authenticator = &*self.0.authenticator;
        let host = uri.host().unwrap_or_default();
        let Some(grant) = self.0.grants.http.iter().find(|grant| grant.permits(uri)) else {
            let server = format!("{}://{}", uri.scheme_str().unwrap_or_default(), host.escape_debug());
            tracing::warn!(
                authenticator,
                server,
                "a request to a server that is not granted (grants.http)"
            );
            return Err(Error::HttpRequestDenied);
        };
        // The connector takes an address for what it is and asks no resolver, so the operator must have written it.
        if address::literal(host).is_some_and(address::special) && !grant.names_address(host) {
            return Err(Error::DestinationIpProhibited);
        }
        Ok(())
    }

    fn explain(&self, error: &hyper_util::client::legacy::Error) -> Error {
        let authenticator = &*self.0.authenticator;
        let mut next = error.source();
        while let Some(cause) = next {
            next = cause.source();
            if cause.is::<Prohibited>() {
                tracing::warn!(
                    authenticator,
                    "a request to a name that resolves to a special address only"
                );
                return Error::DestinationIpProhibited;
            }
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                tracing::warn!(authenticator, error = %tls, "an outbound TLS connection failed");
                return Error::TlsCertificateError;
            }
        }
        tracing::debug!(authenticator, %error, "an outbound request failed");
        if error.is_connect() {
            Error::ConnectionRefused
        } else {
            Error::ConnectionTerminated
        }
    }
}

impl WasiHttpHooks for Egress {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processing: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let egress = self.clone();
        Box::new(async move {
            let response = egress.send(request, options).await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// A client that trusts nobody: https fails, and says so.
fn no_roots() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
