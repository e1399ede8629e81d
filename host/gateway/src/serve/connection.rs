//! One connection of a client: HTTP/1.1 or HTTP/2, told apart by its first bytes, with bounds on what a client may hold
//! and for how long.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::Version;
use http::header;
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::watch;

use crate::config::ServerConfig;
use crate::peer::Peer;
use crate::serve::closing::Witness;
use crate::serve::framing::Watched;
use crate::serve::shutdown::Shutdown;

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
    /// The place that it takes.
    pub(crate) slot: Slot,
}

/// What answers the requests of a listener.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

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
    builder: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
    buffer_size: usize,
    stop: Shutdown,
}

impl Protocol {
    /// `stop`: from then on every response is the last of its connection.
    pub(crate) fn new(config: &ServerConfig, stop: Shutdown) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let buffer_size = config.max_header_size.max(SMALLEST_BUFFER);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_buf_size(buffer_size);
        // What it says of resets stays at its defaults: they end a flood of them (CVE-2023-44487).
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(config.max_header_size).unwrap_or(u32::MAX));
        Self {
            builder,
            header_timeout: config.header_timeout,
            buffer_size,
            stop,
        }
    }

    /// How long a client may take to say what it wants.
    pub(crate) fn header_timeout(&self) -> Duration {
        self.header_timeout
    }

    /// Serves one connection until it ends or the server stops.
    ///
    /// A client that sends no whole request in time is cut off, whichever protocol it was going to speak.
    pub(crate) async fn serve<S>(self, stream: S, connection: Connection, answers: impl Service, mut witness: Witness)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (spoken, heard) = watch::channel(false);
        let stop = self.stop.clone();
        let (stream, seen) = Watched::new(stream, self.buffer_size);
        let service = service_fn(move |mut request: Request<Incoming>| {
            spoken.send_replace(true);
            let (answers, connection) = (answers.clone(), connection.clone());
            let doubt = seen.next();
            let stop = stop.clone();
            async move {
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
                Ok::<_, Infallible>(response)
            }
        });
        let served = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let mut served = pin!(served);
        tokio::select! {
            // Whatever has arrived is read before a connection is closed over it.
            biased;
            ended = served.as_mut() => return note(ended),
            came = first_request(heard, self.header_timeout, &mut witness) => if !came {
                return tracing::debug!("a client sent no request in time");
            },
        }
        tokio::select! {
            biased;
            ended = served.as_mut() => return note(ended),
            () = witness.announced() => {}
        }
        served.as_mut().graceful_shutdown();
        note(served.await);
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

/// Waits for the first request of a connection. False: it didn't come in time. hyper would drop a connection of which it
/// has read nothing when the server stops, so such a one is given its time.
async fn first_request(mut heard: watch::Receiver<bool>, limit: Duration, witness: &mut Witness) -> bool {
    tokio::select! {
        heard = heard.wait_for(|heard| *heard) => heard.is_ok(),
        () = witness.patience(limit) => false,
    }
}

fn note<E: fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// hyper takes no smaller buffer for the head of a request.
const SMALLEST_BUFFER: usize = 8 * 1024;

const MAX_STREAMS: u32 = 128;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::flow::Gateway;

    #[tokio::test]
    async fn a_panic_is_a_500() {
        assert!(unless_it_panics(async { panic!("on purpose") }).await.is_none());
        assert_eq!(Arc::<Gateway>::failure().status(), 500);
    }
}
