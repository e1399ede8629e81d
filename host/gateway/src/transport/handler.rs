//! Handles an accepted connection: first the PROXY protocol, then TLS, then HTTP. A TLS connection for a passthrough
//! host is forwarded instead. Each step has a timeout, which ends the connection.

use std::io;
use std::sync::Arc;
use std::time::Instant;
use std::time::SystemTime;

use bytes::Bytes;
use http::uri::Scheme;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;
use portcullis_wire::proxy_protocol;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::tls::Tls;
use crate::transport::connection::Connection;
use crate::transport::connection::Protocol;
use crate::transport::connection::Service;
use crate::transport::connection::Slot;
use crate::transport::connection::SocketTokens;
use crate::transport::connection::TlsHandshake;
use crate::transport::handshake::HandshakeFailure;
use crate::transport::listener::Listener;
use crate::transport::passthrough;
use crate::transport::passthrough::Passthrough;
use crate::transport::passthrough::Rewind;
use crate::transport::shutdown::Shutdown;
use crate::transport::socket;
use crate::transport::socket::Stream;

/// Handles connections from their first byte on.
#[derive(Clone)]
pub(super) struct ConnectionHandler<S> {
    /// The proxies that send the PROXY protocol. `None` if connections don't begin with it.
    proxy_protocol: Option<TrustedProxies>,
    /// The hosts whose TLS connections are forwarded. `None` if there are none.
    passthrough: Option<Arc<Passthrough>>,
    /// `None` for plain HTTP.
    tls: Option<Tls>,
    protocol: Protocol,
    pub(super) service: S,
}

impl<S: Service> ConnectionHandler<S> {
    pub(super) fn new(listener: &Listener, service: S, stop: Shutdown) -> Self {
        Self {
            proxy_protocol: listener.proxy_protocol.clone(),
            passthrough: listener.passthrough.clone(),
            tls: listener.tls.clone(),
            protocol: Protocol::new(&listener.config, stop),
            service,
        }
    }

    /// The same handler for connections of a socket with these tokens.
    pub(super) fn until(mut self, tokens: SocketTokens) -> Self {
        self.protocol = self.protocol.until(tokens);
        self
    }

    /// Serves the connection to its end. While `tracked` exists, the listener waits for the connection.
    pub(super) async fn run(mut self, mut stream: Stream, mut peer: Peer, slot: Slot, tracked: TaskTrackerToken) {
        if let Err(error) = socket::tune(&stream) {
            return tracing::debug!(%error, "a connection ended before it could be configured");
        }
        if let Some(proxies) = &self.proxy_protocol {
            let deadline = self.protocol.header_deadline();
            match proxy_protocol::client(&mut stream, peer, proxies, deadline).await {
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
                    handshake: None,
                    slot,
                };
                self.protocol.serve(stream, Arc::new(connection), self.service).await;
            }
            // Boxed so that a connection without TLS holds no room for it.
            Some(tls) => Box::pin(self.run_tls(&tls, stream, peer, slot, tracked)).await,
        }
    }

    async fn run_tls(self, tls: &Tls, stream: Stream, peer: Peer, slot: Slot, tracked: TaskTrackerToken) {
        let (began, started) = (SystemTime::now(), Instant::now());
        let handshake = tokio::select! {
            handshake = self.accept(tls, stream) => handshake,
            () = self.protocol.header_deadline() => {
                return HandshakeFailure::timeout().report(&peer);
            }
        };
        let stream = match handshake {
            Ok(Handshake::Terminated(stream)) => stream,
            Ok(Handshake::Passthrough { host, stream }) => {
                if let Some(passthrough) = &self.passthrough {
                    // `Passthrough` tracks and ends its connections itself.
                    drop(tracked);
                    passthrough.forward(&host, stream, peer, slot).await;
                }
                return;
            }
            Err(error) => return HandshakeFailure::of(&error).report(&peer),
        };
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let connection = Connection {
            peer,
            scheme: Scheme::HTTPS,
            certificate: certificate.map(|leaf| Bytes::copy_from_slice(leaf)),
            channel_binding: tls.channel_binding(session.server_name()),
            handshake: Some(Arc::new(TlsHandshake::new(began, started.elapsed()))),
            slot,
        };
        self.protocol.serve(stream, Arc::new(connection), self.service).await;
    }

    /// Performs the TLS handshake, unless the ClientHello names a passthrough host.
    async fn accept(&self, tls: &Tls, stream: Stream) -> io::Result<Handshake> {
        let acceptor = TlsAcceptor::from(Arc::clone(tls.config()));
        let Some(passthrough) = &self.passthrough else {
            return acceptor
                .accept(Rewind::new(Bytes::new(), stream))
                .await
                .map(Handshake::terminated);
        };
        let (host, stream) = passthrough::read_client_hello(stream).await?;
        match host.filter(|host| passthrough.covers(host)) {
            Some(host) => Ok(Handshake::Passthrough { host, stream }),
            None => acceptor.accept(stream).await.map(Handshake::terminated),
        }
    }
}

/// The outcome of accepting a connection on a TLS listener.
enum Handshake {
    /// The gateway terminates TLS.
    Terminated(Box<TlsStream<Rewind<Stream>>>),
    /// Another server terminates TLS. The stream still yields every byte.
    Passthrough { host: String, stream: Rewind<Stream> },
}

impl Handshake {
    fn terminated(stream: TlsStream<Rewind<Stream>>) -> Self {
        Self::Terminated(Box::new(stream))
    }
}
