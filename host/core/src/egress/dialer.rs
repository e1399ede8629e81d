//! Opens connections: directly to a server, or through a forward proxy. A server that answers before it has read the whole
//! request is heard, also if it closes then.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper::rt::Read;
use hyper::rt::ReadBufCursor;
use hyper::rt::Write;
use hyper_util::client::legacy::connect::Connected;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use portcullis_wire::TolerantWrites;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio_util::either::Either;
use tower::Service;

use super::proxy::OutboundProxy;
use super::resolver::Resolver;

const CONNECT: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before the connection is closed. After a call has ended, its connection
/// still sends what was begun, and nothing else would end that.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(20);

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Opens connections to servers.
#[derive(Clone)]
pub(super) struct Dialer {
    direct: HttpConnector<Resolver>,
    /// The operator names the proxy, so that its address may be private.
    to_proxy: HttpConnector,
    proxy: Option<OutboundProxy>,
}

impl Dialer {
    /// Dials what the resolver allows, or the proxy.
    pub(super) fn new(resolver: Resolver, proxy: Option<OutboundProxy>) -> Self {
        Self {
            direct: tuned(HttpConnector::new_with_resolver(resolver)),
            to_proxy: tuned(HttpConnector::new()),
            proxy,
        }
    }

    /// The proxies. `None` if there are none.
    pub(super) fn proxy(&self) -> Option<&OutboundProxy> {
        self.proxy.as_ref()
    }
}

fn tuned<R>(mut connector: HttpConnector<R>) -> HttpConnector<R> {
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(UNREAD));
    connector
}

impl Service<Uri> for Dialer {
    type Response = Dialled;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Dialled, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.as_ref().and_then(|proxy| proxy.for_request(&target)) else {
            let connecting = self.direct.call(target);
            return Box::pin(async move { Ok(Dialled::new(connecting.await?, false)) });
        };
        if target.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.to_proxy.call(proxy.uri);
            return Box::pin(async move { Ok(Dialled::new(connecting.await?, true)) });
        }
        let mut tunnel = Tunnel::new(proxy.uri, self.to_proxy.clone());
        if let Some(credentials) = proxy.credentials {
            tunnel = tunnel.with_auth(credentials);
        }
        Box::pin(async move {
            let tunneled = tokio::time::timeout(CONNECT, tunnel.call(target)).await;
            let tunneled = tunneled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
            Ok(Dialled::new(tunneled?, false))
        })
    }
}

/// An open connection.
pub(super) struct Dialled {
    /// A connection of the system, or one to a server that this process plays.
    stream: TokioIo<Either<TolerantWrites<TcpStream>, DuplexStream>>,
    /// Whether requests name their server in the request line, because a proxy reads them.
    is_proxied: bool,
    answered: Answered,
}

/// Whether a connection has carried a response. One that has may be closed by the server at any time, also while the next
/// request is on its way (RFC 9112, section 9.3.1).
#[derive(Clone, Debug, Default)]
pub(super) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// Notes that a response has arrived.
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one has arrived.
    pub(super) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Dialled {
    fn new(stream: TokioIo<TcpStream>, is_proxied: bool) -> Self {
        Self {
            stream: TokioIo::new(Either::Left(TolerantWrites::new(stream.into_inner()))),
            is_proxied,
            answered: Answered::default(),
        }
    }

    /// A connection to a server that this process plays.
    pub(super) fn played(stream: DuplexStream) -> Self {
        Self {
            stream: TokioIo::new(Either::Right(stream)),
            is_proxied: false,
            answered: Answered::default(),
        }
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        let connected = match self.stream.inner() {
            Either::Left(stream) => stream.connected(),
            Either::Right(_) => Connected::new(),
        };
        connected.proxy(self.is_proxied).extra(self.answered.clone())
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
