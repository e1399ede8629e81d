//! Serves one client connection over HTTP/1.1 or HTTP/2, which its first bytes tell apart. Limits bound how much a
//! client may hold, and for how long.

mod activity;
mod client_stream;
pub(crate) mod fault;
mod streams;
mod tracked_body;

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
use tokio_util::sync::CancellationToken;

use self::activity::Activity;
use self::activity::Timeout;
use self::activity::Watchdog;
use self::client_stream::ClientStream;
use self::streams::StreamExecutor;
use self::tracked_body::TrackedBody;
use crate::config::Bounds;
use crate::config::ServerConfig;
use crate::transport::shutdown::Shutdown;

/// One of the `max_connections` of a listener. It becomes free when the last clone is dropped.
pub(crate) type Slot = Arc<OwnedSemaphorePermit>;

/// What is known about a connection and its client.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The address of the peer.
    pub(crate) peer: Peer,
    /// `https` if the listener serves TLS.
    pub(crate) scheme: Scheme,
    /// The verified certificate of the peer in DER. `None` if the peer sent none.
    pub(crate) certificate: Option<Bytes>,
    /// The channel binding to which a token for this connection may be bound. `None` without TLS.
    pub(crate) channel_binding: Option<Bytes>,
    /// The slot that the connection occupies.
    pub(crate) slot: Slot,
}

/// Answers the requests of a listener.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// The body of a response.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// Answers one request.
    fn answer(
        &self,
        connection: &Connection,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The response to a request whose handling panicked.
    fn failure() -> Response<Self::Body>;
}

/// Serves connections within the configured limits.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    builder: auto::Builder<StreamExecutor>,
    header_timeout: Duration,
    bounds: Bounds,
    buffer_size: usize,
    stop: Shutdown,
    closing: CancellationToken,
}

impl Protocol {
    /// After `stop` was requested, every response is the last one on its connection. Once `closing` is cancelled, idle
    /// connections are closed, and other connections after their current request.
    pub(crate) fn new(config: &ServerConfig, stop: Shutdown, closing: CancellationToken) -> Self {
        let bounds = config.bounds;
        let mut builder = auto::Builder::new(StreamExecutor {
            send_timeout: bounds.send_timeout,
        });
        let buffer_size = config.max_header_size.max(SMALLEST_BUFFER);
        // `Watchdog` bounds the time of a head, because hyper doesn't distinguish a slow head from an idle connection.
        builder.http1().header_read_timeout(None).max_buf_size(buffer_size);
        // The defaults for stream resets stay: they end a flood of resets (CVE-2023-44487).
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
            closing,
        }
    }

    /// Completes when a client that hasn't sent a request yet is out of time: after `header_timeout`, or shortly after
    /// the listener closes, so that bytes on their way still arrive.
    pub(crate) async fn header_deadline(&self) {
        let last_call = async {
            self.closing.cancelled().await;
            tokio::time::sleep(LAST_CALL).await;
        };
        // Either one is the deadline.
        let _ = tokio::time::timeout(self.header_timeout, last_call).await;
    }

    /// Serves one connection until it ends or the listener closes. A client that exceeds a timeout is cut off.
    pub(crate) async fn serve<S>(self, stream: S, connection: Connection, service: impl Service)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = connection.peer;
        let (stop, closing) = (self.stop.clone(), self.closing.clone());
        let activity = Arc::new(Activity::new(client));
        let requests = Arc::clone(&activity);
        let (stream, seen) = ObservedStream::new(stream, self.buffer_size);
        let stream = ClientStream::new(stream, Arc::clone(&seen), Arc::clone(&activity));
        let mut watchdog = Watchdog::new(
            Arc::clone(&activity),
            Arc::clone(&seen),
            self.bounds,
            self.header_timeout,
        );
        let framing = Arc::clone(&seen);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let active_request = activity.request();
            let (service, connection, seen) = (service.clone(), connection.clone(), Arc::clone(&framing));
            let ambiguity = seen.next_request();
            let stop = stop.clone();
            // Boxed because hyper reserves room for the future in each connection, and most connections are idle.
            Box::pin(async move {
                if let Some(ambiguity) = ambiguity {
                    request.extensions_mut().insert(ambiguity);
                }
                let version = request.version();
                let mut response = answer_or_failure(&service, &connection, request).await;
                // Bytes after an ambiguous request may be a part of it. Before a shutdown the client is told too, since
                // a request that is sent while its connection closes is lost.
                if ambiguity.is_some() || (stop.was_requested() && version < Version::HTTP_2) {
                    let headers = response.headers_mut();
                    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    seen.upgrade();
                }
                Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, active_request)))
            })
        });
        let served = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service);
        let (mut served, mut stopping) = (pin!(served), false);
        loop {
            tokio::select! {
                // Bytes that have already arrived are processed before a timeout can close the connection.
                biased;
                outcome = served.as_mut() => {
                    match outcome {
                        Err(_) if seen.is_flooded() => fault::report("frames", client),
                        Err(error) => tracing::debug!(%error, %client, "a connection failed"),
                        Ok(()) => {}
                    }
                    return;
                }
                () = last_call(&requests, &closing), if !stopping => {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
                timeout = watchdog.expired() => match timeout {
                    Timeout::KeepAlive => {
                        served.as_mut().graceful_shutdown();
                        watchdog.start_closing();
                    }
                    timeout => return timeout.log(client),
                }
            }
        }
    }
}

/// Turns a panic into a response, so that one failed request doesn't end the other requests of its connection.
async fn answer_or_failure<S: Service>(
    service: &S,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<S::Body> {
    match catch_panic(service.answer(connection, request)).await {
        Some(response) => response,
        None => S::failure(),
    }
}

/// The output of a future. `None` if it panicked, which is logged.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    let output = AssertUnwindSafe(future).catch_unwind().await;
    if output.is_err() {
        tracing::error!("handling a request panicked; standard error has the message");
    }
    output.ok()
}

/// Completes when the connection should shut down gracefully, after the listener closed. hyper would drop a connection
/// on which it has read nothing, so a request that is still on its way gets `LAST_CALL` to arrive. It must be polled
/// after every poll of the connection.
async fn last_call(activity: &Activity, closing: &CancellationToken) {
    closing.cancelled().await;
    let request = future::poll_fn(|_| {
        if activity.has_had_request() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    // If no request arrived in time, there is nothing to wait for.
    let _ = tokio::time::timeout(LAST_CALL, request).await;
}

/// How long a client may still send a request after the listener closed.
const LAST_CALL: Duration = Duration::from_secs(1);

/// The smallest buffer for a request head that hyper accepts.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// How much an HTTP/2 client may send before it is read, per stream and per connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught() {
        assert!(catch_panic(async { panic!("on purpose") }).await.is_none());
    }
}
