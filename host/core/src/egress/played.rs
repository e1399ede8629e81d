//! Servers that this process plays, for the tests of plugins. What a plugin sends goes through the same client and the same bounds
//! as over the network, but to a stream in memory: no name is resolved, and there is no TLS.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::Uri;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

/// How many bytes may be on their way in each direction.
const IN_FLIGHT: usize = 64 << 10;

/// Plays the servers that plugins ask, in place of the network. Grants and bounds hold as they do for real servers.
pub trait PlayedServers: fmt::Debug + Send + Sync {
    /// Whether it plays the server of this URI, which has a scheme and an authority. Another one refuses connections.
    fn plays(&self, server: &Uri) -> bool;

    /// Answers a request, whose URI is absolute. Without a response, the connection is closed. The future is dropped when
    /// the plugin no longer waits for the response.
    fn answer(&self, request: Request<Bytes>) -> PlayedAnswer<'_>;
}

/// The future of [`PlayedServers::answer`].
pub type PlayedAnswer<'a> = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send + 'a>>;

/// Opens a connection to a server that is played. It carries one request.
pub(super) fn connect(servers: &Arc<dyn PlayedServers>, server: Uri) -> io::Result<DuplexStream> {
    if !servers.plays(&server) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let (client, end) = tokio::io::duplex(IN_FLIGHT);
    let servers = Arc::clone(servers);
    tokio::spawn(async move {
        let answering = service_fn(|request| answer(&*servers, &server, request));
        let mut connection = http1::Builder::new();
        let served = connection
            .keep_alive(false)
            .serve_connection(TokioIo::new(end), answering);
        // The client finds out what goes wrong, because the connection is closed.
        let _ = served.await;
    });
    Ok(client)
}

async fn answer(
    servers: &dyn PlayedServers,
    server: &Uri,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let closed = || io::Error::from(io::ErrorKind::ConnectionAborted);
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| closed())?.to_bytes();
    let mut uri = server.clone().into_parts();
    uri.path_and_query = head.uri.into_parts().path_and_query;
    head.uri = Uri::from_parts(uri).map_err(|_| closed())?;
    let response = servers.answer(Request::from_parts(head, body)).await;
    Ok(response.ok_or_else(closed)?.map(Full::new))
}
