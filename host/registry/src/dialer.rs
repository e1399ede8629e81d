//! Opens connections to registries: directly, or through a forward proxy that the operator configured.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use http::HeaderValue;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A forward proxy.
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    credentials: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy at this URI. `credentials` is the value of `Proxy-Authorization`.
    pub fn new(uri: Uri, credentials: Option<HeaderValue>) -> Self {
        Self { uri, credentials }
    }
}

/// Says through which proxy a request to this URI goes. `None` if it goes directly.
pub type ProxyFor = Arc<dyn Fn(&Uri) -> Option<Proxy> + Send + Sync>;

type BoxError = Box<dyn Error + Send + Sync>;

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Dialer {
    direct: HttpConnector,
    proxy: Option<ProxyFor>,
}

impl Dialer {
    pub(crate) fn new(proxy: Option<ProxyFor>) -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(CONNECT));
        Self { direct, proxy }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Both ways are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let proxy = self.proxy.as_ref().and_then(|proxy| proxy(&uri));
        Box::pin(async move {
            match proxy {
                None => Ok(direct.call(uri).await?),
                Some(Proxy {
                    uri: proxy,
                    credentials,
                }) => {
                    let mut tunnel = Tunnel::new(proxy, direct);
                    if let Some(credentials) = credentials {
                        tunnel = tunnel.with_auth(credentials);
                    }
                    Ok(tunnel.call(uri).await?)
                }
            }
        })
    }
}
