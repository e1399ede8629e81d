//! A listener: it takes connections in up to a bound, and lets them finish when the gateway stops.

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
use crate::transport::handler::Way;
use crate::transport::passthrough::Passthrough;
use crate::transport::shutdown::Shutdown;
use crate::transport::socket::Inherited;
use crate::transport::socket::Place;
use crate::transport::socket::Socket;
use crate::transport::socket::Stream;

/// Sockets that listen, all for the same.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<Socket>,
    tls: Option<Tls>,
    proxy_protocol: Option<TrustedProxies>,
    passthrough: Option<Arc<Passthrough>>,
}

impl Listener {
    /// Starts to listen.
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

    /// Demands the PROXY protocol: every connection is one of these proxies', and begins with whose it was before.
    pub(crate) fn behind(mut self, proxies: Option<TrustedProxies>) -> Self {
        self.proxy_protocol = proxies;
        self
    }

    /// Passes TLS connections for other hosts on to them.
    pub(crate) fn beside(mut self, passthrough: Option<Arc<Passthrough>>) -> Self {
        self.passthrough = passthrough;
        self
    }

    /// Where it listens.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.sockets.iter().map(Socket::place)
    }

    /// The TCP address of a listener that has one.
    #[cfg(test)]
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        let mut places = self.places();
        let Some(Place::Tcp(address)) = places.next() else {
            panic!("no TCP address")
        };
        *address
    }

    /// Serves until it is asked to stop; then takes no more connections, and gives running requests their time.
    pub(crate) async fn serve(self, answers: impl Service, config: &ServerConfig, mut stop: Shutdown) {
        let tls = self.tls.clone();
        let closing = CancellationToken::new();
        let intake = Intake {
            way: Way {
                tls: self.tls,
                proxy_protocol: self.proxy_protocol,
                passthrough: self.passthrough,
                protocol: Protocol::new(config, stop.clone(), closing.clone()),
                answers,
            },
            slots: Arc::new(Semaphore::new(config.max_connections.unwrap_or(MAX_CONNECTIONS))),
            connections: TaskTracker::new(),
        };
        tokio::select! {
            () = intake.accept_all(&self.sockets) => {}
            () = reload(tls) => {}
            () = stop.closing(config.drain_delay) => {}
        }
        for (stream, peer) in self.sockets.into_iter().flat_map(Socket::close) {
            intake.take_in_turn(stream, peer);
        }
        closing.cancel();
        intake.connections.close();
        tokio::select! {
            () = intake.connections.wait() => {}
            () = tokio::time::sleep(config.shutdown_timeout) => tracing::warn!("requests were cut off at the shutdown timeout"),
            () = stop.requested() => tracing::warn!("requests were cut off by a second signal"),
        }
    }
}

/// Takes connections in.
struct Intake<S> {
    way: Way<S>,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
}

impl<S: Service> Intake<S> {
    async fn accept_all(&self, sockets: &[Socket]) {
        let mut turn = 0;
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            let (stream, peer) = accept_any(sockets, turn).await;
            turn += 1;
            self.take(stream, peer, Arc::new(slot));
        }
    }

    /// Takes a connection in as soon as there is a slot for it.
    fn take_in_turn(&self, stream: Stream, peer: Peer) {
        let (slots, way) = (Arc::clone(&self.slots), self.way.clone());
        let tracked = self.connections.token();
        tokio::spawn(async move {
            // The semaphore is never closed.
            if let Ok(slot) = slots.acquire_owned().await {
                way.run(stream, peer, Arc::new(slot), tracked).await;
            }
        });
    }

    fn take(&self, stream: Stream, peer: Peer, slot: Slot) {
        let tracked = self.connections.token();
        tokio::spawn(self.way.clone().run(stream, peer, slot, tracked));
    }
}

/// The next connection to any socket. The one to ask first goes round, so that a busy one leaves others their turn.
async fn accept_any(sockets: &[Socket], turn: usize) -> (Stream, Peer) {
    // There is at least one: `Listen` has an address, and systemd passed a socket for each name.
    let first = turn.checked_rem(sockets.len()).unwrap_or_default();
    let sockets = sockets.iter().cycle().skip(first).take(sockets.len());
    let accepted = sockets.map(|socket| Box::pin(accept(socket)));
    future::select_all(accepted).await.0
}

/// The next connection. When the system has none to give, because files or memory ran out, waits a little: to ask
/// again at once would take the processor from the requests that free them.
async fn accept(socket: &Socket) -> (Stream, Peer) {
    let mut pause = FIRST_PAUSE;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Takes up new certificates for as long as it is polled. It never ends.
async fn reload(tls: Option<Tls>) {
    match tls {
        Some(tls) => tls.reload().await,
        None => future::pending().await,
    }
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
