//! Accepts connections up to a limit. When the gateway stops, running requests may finish.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Listen;
use crate::config::ServerConfig;
use crate::config::TlsConfig;
use crate::tls::Tls;
use crate::transport::ServeError;
use crate::transport::connection::Protocol;
use crate::transport::connection::Service;
use crate::transport::connection::Slot;
use crate::transport::handler::ConnectionHandler;
use crate::transport::passthrough::Passthrough;
use crate::transport::shutdown::Shutdown;
use crate::transport::socket::BoundAddress;
use crate::transport::socket::Inherited;
use crate::transport::socket::Socket;
use crate::transport::socket::Stream;

/// A group of sockets with the same service.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<Socket>,
    tls: Option<Tls>,
    proxy_protocol: Option<TrustedProxies>,
    passthrough: Option<Arc<Passthrough>>,
}

impl Listener {
    /// Binds the sockets.
    pub(crate) fn bind(
        listen: &Listen,
        tls: Option<&TlsConfig>,
        inherited: &mut Inherited,
    ) -> Result<Self, ServeError> {
        let tls = tls.map(|tls| Tls::new(tls.certificates.clone(), tls.clients.as_ref()));
        Ok(Self {
            tls: tls.transpose()?,
            sockets: Socket::bind_all(listen, inherited)?,
            proxy_protocol: None,
            passthrough: None,
        })
    }

    /// Requires that every connection comes from one of `proxies` and begins with the PROXY protocol.
    pub(crate) fn require_proxy_protocol(mut self, proxies: Option<TrustedProxies>) -> Self {
        self.proxy_protocol = proxies;
        self
    }

    /// Forwards TLS connections for passthrough hosts.
    pub(crate) fn with_passthrough(mut self, passthrough: Option<Arc<Passthrough>>) -> Self {
        self.passthrough = passthrough;
        self
    }

    /// The addresses of the sockets.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &BoundAddress> {
        self.sockets.iter().map(Socket::address)
    }

    /// The address of the first socket, which is a TCP socket.
    #[cfg(test)]
    pub(crate) fn tcp_address(&self) -> std::net::SocketAddr {
        let mut addresses = self.addresses();
        let Some(BoundAddress::Tcp(address)) = addresses.next() else {
            panic!("no TCP address")
        };
        *address
    }

    /// Serves until a stop is requested. Then no more connections are accepted, and running requests may finish within
    /// `shutdown_timeout`.
    pub(crate) async fn serve(self, service: impl Service, config: &ServerConfig, mut stop: Shutdown) {
        let tls = self.tls.clone();
        let closing = CancellationToken::new();
        let accept_loop = AcceptLoop {
            handler: ConnectionHandler {
                tls: self.tls,
                proxy_protocol: self.proxy_protocol,
                passthrough: self.passthrough,
                protocol: Protocol::new(config, stop.clone(), closing.clone()),
                service,
            },
            slots: Arc::new(Semaphore::new(config.max_connections.unwrap_or(MAX_CONNECTIONS))),
            connections: TaskTracker::new(),
        };
        tokio::select! {
            () = accept_loop.accept_all(&self.sockets) => {}
            () = reload(tls) => {}
            () = stop.drained(config.drain_delay) => {}
        }
        for (stream, peer) in self.sockets.into_iter().flat_map(Socket::close) {
            accept_loop.handle_when_free(stream, peer);
        }
        closing.cancel();
        accept_loop.connections.close();
        tokio::select! {
            () = accept_loop.connections.wait() => {}
            () = tokio::time::sleep(config.shutdown_timeout) => tracing::warn!("requests were cut off at the shutdown timeout"),
            () = stop.requested() => tracing::warn!("requests were cut off by a second signal"),
        }
    }
}

/// Spawns a handler for each accepted connection.
struct AcceptLoop<S> {
    handler: ConnectionHandler<S>,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
}

impl<S: Service> AcceptLoop<S> {
    async fn accept_all(&self, sockets: &[Socket]) {
        let mut turn = 0;
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            let (stream, peer) = accept_any(sockets, turn).await;
            turn += 1;
            self.handle(stream, peer, Arc::new(slot));
        }
    }

    /// Handles a connection as soon as there is a free slot.
    fn handle_when_free(&self, stream: Stream, peer: Peer) {
        let (slots, handler) = (Arc::clone(&self.slots), self.handler.clone());
        let tracked = self.connections.token();
        tokio::spawn(async move {
            // The semaphore is never closed.
            if let Ok(slot) = slots.acquire_owned().await {
                handler.run(stream, peer, Arc::new(slot), tracked).await;
            }
        });
    }

    fn handle(&self, stream: Stream, peer: Peer, slot: Slot) {
        let tracked = self.connections.token();
        tokio::spawn(self.handler.clone().run(stream, peer, slot, tracked));
    }
}

/// The next connection of any socket. The socket that is polled first rotates, so that a busy one doesn't starve
/// others.
async fn accept_any(sockets: &[Socket], turn: usize) -> (Stream, Peer) {
    // There is at least one socket: `Listen` has an address, and systemd passed a socket for each name.
    let first = turn.checked_rem(sockets.len()).unwrap_or_default();
    let sockets = sockets.iter().cycle().skip(first).take(sockets.len());
    let accepted = sockets.map(|socket| Box::pin(accept(socket)));
    future::select_all(accepted).await.0
}

/// The next connection of a socket. If the system runs out of files or memory, this pauses before it tries again: a
/// busy loop would take the processor from the requests that free them.
async fn accept(socket: &Socket) -> (Stream, Peer) {
    let mut pause = FIRST_PAUSE;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections can't be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Reloads the certificates when they change. This never completes.
async fn reload(tls: Option<Tls>) {
    match tls {
        Some(tls) => tls.reload().await,
        None => future::pending().await,
    }
}

fn is_client_error(error: &io::Error) -> bool {
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
