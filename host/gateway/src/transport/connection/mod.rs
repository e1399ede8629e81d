//! One connection of a client: HTTP/1.1 or HTTP/2, told apart by its first bytes, with bounds on what a client may hold
//! and for how long.

pub(crate) mod fault;
mod pace;
mod sent;
mod streams;
mod wire;

use std::convert::Infallible;
use std::error::Error;
use std::future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use portcullis_wire::framing::ObservedStream;
use portcullis_wire::peer::Peer;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::OwnedSemaphorePermit;

use self::pace::Late;
use self::pace::Pace;
use self::pace::Watch;
use self::sent::Sent;
use self::streams::Streams;
use self::wire::Wire;
use crate::config::Bounds;
use crate::config::ServerConfig;
use crate::transport::closing::LAST_CALL;
use crate::transport::closing::Witness;
use crate::transport::shutdown::Shutdown;

/// A place among the connections that a server holds at most; free again when the last clone is gone.
pub(crate) type Slot = Arc<OwnedSemaphorePermit>;

/// A client's side of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// Whether the listener speaks TLS.
    pub(crate) scheme: Scheme,
    /// DER of the certificate that the peer showed, verified; none: it showed none.
    pub(crate) certificate: Option<Bytes>,
    /// What a token may be bound to that was made for this connection; none: nothing.
    pub(crate) channel_binding: Option<Bytes>,
    /// The place that it takes.
    pub(crate) slot: Slot,
}

/// What answers the requests of a listener.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// Answers one request.
    fn answer(
        &self,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// What a client gets when answering it failed.
    fn failure() -> Response<Self::Body>;
}

/// How connections are served.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    builder: auto::Builder<Streams>,
    header_timeout: Duration,
    bounds: Bounds,
    buffer_size: usize,
    stop: Shutdown,
}

impl Protocol {
    /// `stop`: from then on every response is the last of its connection.
    pub(crate) fn new(config: &ServerConfig, stop: Shutdown) -> Self {
        let bounds = config.bounds;
        let mut builder = auto::Builder::new(Streams {
            send_timeout: bounds.send_timeout,
        });
        let buffer_size = config.max_header_size.max(SMALLEST_BUFFER);
        // How long a head may take is up to `Watch`: hyper doesn't tell one that is slow from a connection that waits.
        builder.http1().header_read_timeout(None).max_buf_size(buffer_size);
        // What it says of resets stays at its defaults: they end a flood of them (CVE-2023-44487).
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(bounds.max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(config.max_header_size).unwrap_or(u32::MAX));
        Self {
            builder,
            header_timeout: config.header_timeout,
            bounds,
            buffer_size,
            stop,
        }
    }

    /// How long a client may take to say what it wants.
    pub(crate) fn header_timeout(&self) -> Duration {
        self.header_timeout
    }

    /// Serves one connection until it ends or the server stops. A client that is late with anything is cut off.
    pub(crate) async fn serve<S>(self, stream: S, connection: Connection, answers: impl Service, mut witness: Witness)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = connection.peer;
        let stop = self.stop.clone();
        let pace = Arc::new(Pace::new(client));
        let heard = Arc::clone(&pace);
        let (stream, seen) = ObservedStream::new(stream, self.buffer_size);
        let stream = Wire::new(stream, Arc::clone(&seen), Arc::clone(&pace));
        let mut watch = Watch::new(Arc::clone(&pace), Arc::clone(&seen), self.bounds, self.header_timeout);
        let looked = Arc::clone(&seen);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let under_way = pace.request();
            let (answers, connection, seen) = (answers.clone(), connection.clone(), Arc::clone(&looked));
            let doubt = seen.next_request();
            let stop = stop.clone();
            // hyper keeps room for it in the connection, which most of the time has no request.
            Box::pin(async move {
                if let Some(doubt) = doubt {
                    request.extensions_mut().insert(doubt);
                }
                let version = request.version();
                let mut response = shielded(&answers, &connection, request).await;
                // What comes after a doubtful request may be a part of it. A gateway that is about to close says so, as
                // a request that meets the closing of its connection is lost.
                if doubt.is_some() || (stop.was_requested() && version < Version::HTTP_2) {
                    let headers = response.headers_mut();
                    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    seen.upgrade();
                }
                Ok::<_, Infallible>(response.map(|body| Sent::new(body, under_way)))
            })
        });
        let served = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service);
        let (mut served, mut stopping) = (pin!(served), false);
        loop {
            tokio::select! {
                // Whatever has arrived is read before a connection is closed over it.
                biased;
                ended = served.as_mut() => {
                    match ended {
                        Err(_) if seen.is_flooded() => fault::cut("frames", client),
                        Err(error) => tracing::debug!(%error, %client, "a connection broke"),
                        Ok(()) => {}
                    }
                    return;
                }
                () = last_call(&heard, &mut witness), if !stopping => {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
                late = watch.late() => match late {
                    Late::Idle => {
                        served.as_mut().graceful_shutdown();
                        watch.closes();
                    }
                    late => return late.note(client),
                }
            }
        }
    }
}

/// Turns a panic into an answer: one broken request doesn't take its connection along.
async fn shielded<S: Service>(answers: &S, connection: &Connection, request: Request<Incoming>) -> Response<S::Body> {
    match unless_it_panics(answers.answer(connection, request)).await {
        Some(response) => response,
        None => S::failure(),
    }
}

/// What a future returns; none, with an error in the log: it panicked.
pub(crate) async fn unless_it_panics<T>(future: impl Future<Output = T>) -> Option<T> {
    let output = AssertUnwindSafe(future).catch_unwind().await;
    if output.is_err() {
        tracing::error!("a request made the gateway panic; the message is on standard error");
    }
    output.ok()
}

/// Waits for the end to be announced. hyper would drop a connection of which it has read nothing then, so such a one is given
/// a moment for a request that is on its way. To be polled whenever the connection was.
async fn last_call(pace: &Pace, witness: &mut Witness) {
    witness.announced().await;
    let heard = future::poll_fn(|_| {
        if pace.has_heard() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    // Nothing came: there is nothing to wait for.
    let _ = tokio::time::timeout(LAST_CALL, heard).await;
}

/// hyper takes no smaller buffer for the head of a request.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// What a client of HTTP/2 may send before it is read: of one body, and of all of a connection's together.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught() {
        assert!(unless_it_panics(async { panic!("on purpose") }).await.is_none());
    }
}
