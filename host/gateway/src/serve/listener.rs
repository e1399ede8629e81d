//! The listening socket: it takes connections in up to a bound, and lets them finish when the gateway stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::server::graceful::Watcher;
use socket2::SockRef;
use socket2::TcpKeepalive;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::config::PassthroughConfig;
use crate::config::ServerConfig;
use crate::config::TlsConfig;
use crate::serve::connection::Connection;
use crate::serve::connection::Protocol;
use crate::serve::connection::Service;
use crate::serve::connection::Slot;
use crate::serve::passthrough;
use crate::serve::passthrough::Passthrough;
use crate::serve::passthrough::Replayed;
use crate::serve::shutdown::Shutdown;
use crate::tls::Tls;
use crate::tls::TlsError;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    passthrough: Option<Arc<Passthrough>>,
}

impl Listener {
    /// Starts to listen. A port of 0 lets the system choose one.
    pub(crate) async fn bind(address: SocketAddr, tls: Option<&TlsConfig>) -> Result<Self, ServeError> {
        let tls = tls.map(|tls| Tls::new(tls.certificates.clone(), tls.clients.as_ref()));
        let tls = tls.transpose()?;
        let refused = |source| ServeError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            address,
            tls,
            passthrough: None,
        })
    }

    /// The same, but TLS connections for other hosts go on to them.
    pub(crate) fn with_passthrough(mut self, rules: &[PassthroughConfig]) -> Self {
        self.passthrough = Passthrough::new(rules);
        self
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is asked to stop; then takes no more connections, and gives running requests their time.
    pub(crate) async fn serve(self, answers: impl Service, config: &ServerConfig, mut stop: Shutdown) {
        let protocol = Protocol::new(config);
        let connections = GracefulShutdown::new();
        tokio::select! {
            () = self.accept_all(&answers, &protocol, &connections) => {}
            () = reload(self.tls.clone()) => {}
            () = stop.requested() => {}
        }
        let passthrough = self.passthrough.clone();
        drop(self);
        tokio::select! {
            () = connections.shutdown() => {}
            () = tokio::time::sleep(config.shutdown_timeout) => tracing::warn!("requests were cut off at the shutdown timeout"),
            () = stop.requested() => tracing::warn!("requests were cut off by a second signal"),
        }
        if let Some(passthrough) = passthrough {
            passthrough.close().await;
        }
    }

    async fn accept_all(&self, answers: &impl Service, protocol: &Protocol, connections: &GracefulShutdown) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            let (stream, peer) = self.accept().await;
            if let Err(error) = tune(&stream) {
                tracing::debug!(error = %error, "a connection ended before it began");
                continue;
            }
            let accepted = Accepted {
                stream,
                peer,
                slot: Arc::new(slot),
            };
            let (protocol, answers) = (protocol.clone(), answers.clone());
            let watcher = connections.watcher();
            match &self.tls {
                None => _ = tokio::spawn(accepted.plain(protocol, answers, watcher)),
                Some(tls) => {
                    let (tls, passthrough) = (tls.clone(), self.passthrough.clone());
                    tokio::spawn(accepted.over_tls(tls, passthrough, protocol, answers, watcher));
                }
            }
        }
    }

    /// The next connection. When the system has none to give, because files or memory ran out, waits a little: to ask
    /// again at once would take the processor from the requests that free them.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "no connection can be accepted");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Takes up new certificates for as long as it is polled. It never ends.
async fn reload(tls: Option<Tls>) {
    match tls {
        Some(tls) => tls.reload().await,
        None => std::future::pending().await,
    }
}

/// A connection that nobody has spoken on yet.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
}

impl Accepted {
    async fn plain(self, protocol: Protocol, answers: impl Service, watcher: Watcher) {
        let connection = Connection {
            peer: self.peer,
            scheme: Scheme::HTTP,
            certificate: None,
            slot: self.slot,
        };
        protocol.serve(self.stream, connection, answers, watcher).await;
    }

    async fn over_tls(
        self,
        tls: Tls,
        passthrough: Option<Arc<Passthrough>>,
        protocol: Protocol,
        answers: impl Service,
        watcher: Watcher,
    ) {
        let deadline = Instant::now() + protocol.header_timeout();
        let (host, stream) = match &passthrough {
            Some(_) => match tokio::time::timeout_at(deadline, passthrough::greeted(self.stream)).await {
                Ok(Ok(greeted)) => greeted,
                Ok(Err(error)) => return tracing::debug!(%error, client = %self.peer, "no TLS connection was made"),
                Err(_) => return tracing::debug!(client = %self.peer, "no TLS connection was made in time"),
            },
            None => (None, Replayed::new(Bytes::new(), self.stream)),
        };
        if let (Some(passthrough), Some(host)) = (&passthrough, &host)
            && let Some(rule) = passthrough.rule(host)
        {
            // It isn't waited for when the gateway stops: it may never end.
            drop(watcher);
            let client = self.peer.ip().to_canonical().to_string();
            return passthrough.carry(rule, host, stream, &client, self.slot).await;
        }
        let shaken = TlsAcceptor::from(Arc::clone(tls.config())).accept(stream);
        let stream = match tokio::time::timeout_at(deadline, shaken).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(error = %error, client = %self.peer, "no TLS connection was made"),
            Err(_) => return tracing::debug!(client = %self.peer, "no TLS connection was made in time"),
        };
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let connection = Connection {
            peer: self.peer,
            scheme: Scheme::HTTPS,
            certificate: certificate.map(|leaf| Bytes::copy_from_slice(leaf)),
            slot: self.slot,
        };
        protocol.serve(stream, connection, answers, watcher).await;
    }
}

/// Small writes go out at once, and a peer that is gone without a word is noticed: its slot is needed.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// Why the gateway can't serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The address is taken, not this machine's, or not allowed.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// TLS can't be served with what is configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no signals.
    #[error("can't listen for signals: {0}")]
    Signals(io::Error),
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind;

    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

const MAX_CONNECTIONS: usize = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
