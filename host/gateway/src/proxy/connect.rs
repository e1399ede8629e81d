//! Connects to one server, over TCP or a Unix socket, and with TLS if its URL is https.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use portcullis_wire::TolerantWrites;
use portcullis_wire::tls_error::ServerTlsError;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::addresses::Addresses;
use super::addresses::Resolver;
use super::error::error_chain;
use crate::config::Address;
use crate::config::Protocol;
use crate::config::UpstreamConfig;
use crate::config::UpstreamServerConfig;

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Connector {
    address: Address,
    tcp: HttpConnector<Resolver>,
    tls: Option<Tls>,
    protocol: Protocol,
}

#[derive(Clone)]
struct Tls {
    default: TlsConnector,
    /// For upgrades, which HTTP/2 doesn't support.
    http1: TlsConnector,
    name: ServerName<'static>,
}

/// A new connection.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) is_http2: bool,
}

impl Connector {
    /// `addresses` are those of the server. `None` if its name isn't looked up yet.
    pub(super) fn new(server: &UpstreamServerConfig, addresses: Option<Addresses>, upstream: &UpstreamConfig) -> Self {
        let resolver = addresses.map_or_else(|| Resolver::System(GaiResolver::new()), Resolver::Known);
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(upstream.connect_timeout));
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        let tls = upstream
            .tls
            .as_ref()
            .zip(server.tls_name.clone())
            .map(|(config, name)| {
                let offering = |protocols: &[&[u8]]| {
                    let mut config = rustls::ClientConfig::clone(config);
                    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
                    TlsConnector::from(Arc::new(config))
                };
                let default = match upstream.protocol {
                    Protocol::Http1 => &[HTTP1][..],
                    Protocol::Http2 => &[HTTP2],
                    Protocol::Negotiated => &[HTTP2, HTTP1],
                };
                Tls {
                    default: offering(default),
                    http1: offering(&[HTTP1]),
                    name,
                }
            });
        Self {
            address: server.address.clone(),
            tcp,
            tls,
            protocol: upstream.protocol,
        }
    }

    /// Connects. `only_http1` is set for an upgrade.
    pub(super) async fn connect(mut self, only_http1: bool) -> Result<Connected, ConnectError> {
        let stream: Box<dyn Io> = match &self.address {
            Address::Tcp(authority) => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                let uri = Uri::builder().scheme(scheme).authority(authority.clone());
                let uri = uri.path_and_query("/").build().map_err(io::Error::other)?;
                let connected = self.tcp.call(uri).await;
                Box::new(connected.map_err(|error| ConnectError::Tcp(error.into()))?.into_inner())
            }
            Address::Unix(path) => unix(path).await?,
        };
        // Keeps the response of a server that answers and closes before it has read the whole request.
        let stream = TolerantWrites::new(stream);
        let Some(tls) = &self.tls else {
            return Ok(Connected {
                stream: Stream::new(Box::new(stream)),
                is_http2: self.protocol == Protocol::Http2,
            });
        };
        let connector = if only_http1 { &tls.http1 } else { &tls.default };
        let handshake = connector.connect(tls.name.clone(), stream).await;
        let stream = handshake.map_err(ConnectError::Tls)?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        // For a server without ALPN the configuration decides.
        let is_http2 = is_http2 || (self.protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol().is_none());
        Ok(Connected {
            stream: Stream::new(Box::new(stream)),
            is_http2,
        })
    }
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> io::Result<Box<dyn Io>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_path: &std::path::Path) -> io::Result<Box<dyn Io>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// ALPN protocol names (RFC 7301).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// How long a connection may be silent before the system sends a keepalive probe.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long sent data may stay unacknowledged. After a request was given up, its connection still sends the rest of it,
/// and no other timeout would end that.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a connection couldn't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error("{}", error_chain(&**.0))]
    Tcp(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the TLS handshake failed: {}", tls_reason(.0))]
    Tls(#[source] io::Error),
}

fn tls_reason(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    tls.map_or_else(|| error.to_string(), |tls| ServerTlsError(tls).to_string())
}

/// A byte stream in both directions.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that records whether the server has sent anything.
pub(super) struct Stream {
    io: Box<dyn Io>,
    received: ReceivedFlag,
}

/// Whether the server has sent anything since the flag was cleared.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedFlag(Arc<AtomicBool>);

impl ReceivedFlag {
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stream {
    fn new(io: Box<dyn Io>) -> Self {
        let received = ReceivedFlag::default();
        Self { io, received }
    }

    pub(super) fn received(&self) -> ReceivedFlag {
        self.received.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.received.0.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
