//! The way of a connection: first the PROXY protocol, then TLS, then HTTP; or on to another host, whose TLS it is. Each has
//! its time, and whatever doesn't come in it ends the connection.

use std::io;
use std::sync::Arc;

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
use crate::transport::passthrough;
use crate::transport::passthrough::Passthrough;
use crate::transport::passthrough::Rewind;
use crate::transport::socket;
use crate::transport::socket::Stream;

/// The way of a connection, from its first byte on.
#[derive(Clone)]
pub(crate) struct ConnectionHandler<S> {
    /// Who begins it with the PROXY protocol; none: nobody does.
    pub(crate) proxy_protocol: Option<TrustedProxies>,
    /// Whose TLS connections go on to them; none: nobody's do.
    pub(crate) passthrough: Option<Arc<Passthrough>>,
    /// TLS; none: plain HTTP.
    pub(crate) tls: Option<Tls>,
    pub(crate) protocol: Protocol,
    pub(crate) service: S,
}

impl<S: Service> ConnectionHandler<S> {
    /// Serves the connection to its end. While `tracked` exists, the listener waits for the connection.
    pub(crate) async fn run(mut self, mut stream: Stream, mut peer: Peer, slot: Slot, tracked: TaskTrackerToken) {
        if let Err(error) = socket::tune(&stream) {
            return tracing::debug!(%error, "a connection ended before it began");
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
                    slot,
                };
                self.protocol.serve(stream, connection, self.service).await;
            }
            Some(tls) => self.run_tls(&tls, stream, peer, slot, tracked).await,
        }
    }

    async fn run_tls(self, tls: &Tls, stream: Stream, peer: Peer, slot: Slot, tracked: TaskTrackerToken) {
        let handshake = tokio::select! {
            handshake = self.accept(tls, stream) => handshake,
            () = self.protocol.header_deadline() => {
                return tracing::debug!(client = %peer, "no TLS connection was made in time");
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
            Err(error) => return tracing::debug!(%error, client = %peer, "no TLS connection was made"),
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
        self.protocol.serve(stream, connection, self.service).await;
    }
    /// Begins TLS, unless the host that the client names first is another's.
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

/// What a connection to a listener with TLS is.
enum Handshake {
    /// TLS with the gateway.
    Terminated(Box<TlsStream<Rewind<Stream>>>),
    /// TLS with somebody else, of which nothing was taken.
    Passthrough { host: String, stream: Rewind<Stream> },
}

impl Handshake {
    fn terminated(stream: TlsStream<Rewind<Stream>>) -> Self {
        Self::Terminated(Box::new(stream))
    }
}
