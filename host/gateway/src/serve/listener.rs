//! A listener: it takes connections in up to a bound, and lets them finish when the gateway stops. The way of each is
//! accept, PROXY protocol, passthrough, TLS, HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use http::uri::Scheme;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::config::Listen;
use crate::config::ServerConfig;
use crate::config::TlsConfig;
use crate::peer::Peer;
use crate::peer::TrustedProxies;
use crate::serve::ServeError;
use crate::serve::closing::Closing;
use crate::serve::closing::Witness;
use crate::serve::connection::Connection;
use crate::serve::connection::Protocol;
use crate::serve::connection::Service;
use crate::serve::connection::Slot;
use crate::serve::passthrough::Hello;
use crate::serve::passthrough::Passthrough;
use crate::serve::passthrough::Replayed;
use crate::serve::proxy_protocol;
use crate::serve::shutdown::Shutdown;
use crate::serve::socket;
use crate::serve::socket::Inherited;
use crate::serve::socket::Place;
use crate::serve::socket::Socket;
use crate::serve::socket::Stream;
use crate::tls::Tls;

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
        let intake = Intake {
            way: Way {
                tls: self.tls,
                proxy_protocol: self.proxy_protocol,
                passthrough: self.passthrough,
                protocol: Protocol::new(config, stop.clone()),
                answers,
            },
            slots: Arc::new(Semaphore::new(config.max_connections.unwrap_or(MAX_CONNECTIONS))),
            connections: Closing::new(),
        };
        tokio::select! {
            () = intake.accept_all(&self.sockets) => {}
            () = reload(tls) => {}
            () = stop.closing(config.drain_delay) => {}
        }
        for (stream, peer) in self.sockets.into_iter().flat_map(Socket::close) {
            if let Ok(slot) = Arc::clone(&intake.slots).try_acquire_owned() {
                intake.take(stream, peer, Arc::new(slot));
            }
        }
        tokio::select! {
            () = intake.connections.end() => {}
            () = tokio::time::sleep(config.shutdown_timeout) => tracing::warn!("requests were cut off at the shutdown timeout"),
            () = stop.requested() => tracing::warn!("requests were cut off by a second signal"),
        }
    }
}

/// Takes connections in.
struct Intake<S> {
    way: Way<S>,
    slots: Arc<Semaphore>,
    connections: Closing,
}

impl<S: Service> Intake<S> {
    async fn accept_all(&self, sockets: &[Socket]) {
        future::join_all(sockets.iter().map(|socket| self.accept_from(socket))).await;
    }

    async fn accept_from(&self, socket: &Socket) {
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            let (stream, peer) = accept(socket).await;
            self.take(stream, peer, Arc::new(slot));
        }
    }

    fn take(&self, stream: Stream, peer: Peer, slot: Slot) {
        if let Err(error) = socket::tune(&stream) {
            return tracing::debug!(%error, "a connection ended before it began");
        }
        let witness = self.connections.witness();
        tokio::spawn(self.way.clone().go(stream, peer, slot, witness));
    }
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

/// The way of a connection, from its first byte on.
#[derive(Clone)]
struct Way<S> {
    proxy_protocol: Option<TrustedProxies>,
    passthrough: Option<Arc<Passthrough>>,
    tls: Option<Tls>,
    protocol: Protocol,
    answers: S,
}

impl<S: Service> Way<S> {
    async fn go(mut self, mut stream: Stream, mut peer: Peer, slot: Slot, witness: Witness) {
        if let Some(proxies) = &self.proxy_protocol {
            let timeout = self.protocol.header_timeout();
            match proxy_protocol::client(&mut stream, peer, proxies, timeout).await {
                Ok(client) => peer = client,
                Err(refused) => return refused.note(&peer),
            }
        }
        match self.tls.take() {
            None => {
                let connection = Connection {
                    peer,
                    scheme: Scheme::HTTP,
                    certificate: None,
                    channel_binding: None,
                    slot,
                };
                self.protocol.serve(stream, connection, self.answers, witness).await;
            }
            Some(tls) => self.over_tls(&tls, stream, peer, slot, witness).await,
        }
    }

    async fn over_tls(self, tls: &Tls, stream: Stream, peer: Peer, slot: Slot, witness: Witness) {
        let deadline = Instant::now() + self.protocol.header_timeout();
        let (host, stream) = match &self.passthrough {
            Some(_) => match tokio::time::timeout_at(deadline, greeted(stream)).await {
                Ok(Ok(greeted)) => greeted,
                Ok(Err(error)) => return tracing::debug!(%error, client = %peer, "no TLS connection was made"),
                Err(_) => return tracing::debug!(client = %peer, "no TLS connection was made in time"),
            },
            None => (None, Replayed::new(Bytes::new(), stream)),
        };
        if let (Some(passthrough), Some(host)) = (&self.passthrough, &host)
            && let Some(rule) = passthrough.rule(host)
        {
            // The passthrough itself is asked whether it is still there, and told when to end.
            drop(witness);
            return passthrough.carry(rule, host, stream, peer, slot).await;
        }
        let shaken = TlsAcceptor::from(Arc::clone(tls.config())).accept(stream);
        let stream = match tokio::time::timeout_at(deadline, shaken).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, client = %peer, "no TLS connection was made"),
            Err(_) => return tracing::debug!(client = %peer, "no TLS connection was made in time"),
        };
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let connection = Connection {
            peer,
            scheme: Scheme::HTTPS,
            certificate: certificate.map(|leaf| Bytes::copy_from_slice(leaf)),
            channel_binding: tls.channel_binding(session.server_name()),
            slot,
        };
        self.protocol.serve(stream, connection, self.answers, witness).await;
    }
}

/// What a client says first: the host that it names, and the stream as if nobody had read it.
async fn greeted(mut stream: Stream) -> io::Result<(Option<String>, Replayed<Stream>)> {
    let hello = Hello::read(&mut stream).await?;
    Ok((hello.host, Replayed::new(hello.bytes, stream)))
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
