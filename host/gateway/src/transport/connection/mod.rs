//! Serves one client connection over HTTP/1.1 or HTTP/2, which its first bytes tell apart. Limits bound how much a
//! client may hold, and for how long.

mod activity;
mod client_stream;
mod cork;
mod driver;
mod extended_connect;
pub(crate) mod fault;
mod rejected_head;
mod request_body;
mod slot;
mod streams;
mod tls_handshake;
mod tracked_body;

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use portcullis_wire::framing::HeadLimits;
use portcullis_wire::framing::HttpVersion;
use portcullis_wire::framing::ObservedStream;
use portcullis_wire::peer::Peer;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use self::activity::Activity;
use self::activity::Watchdog;
use self::client_stream::ClientStream;
use self::client_stream::Reject;
use self::driver::Driver;
use self::driver::last_call;
pub(crate) use self::request_body::ReceivedBody;
pub(crate) use self::request_body::Unread;
pub(crate) use self::slot::Slot;
pub(crate) use self::slot::SlotGauges;
use self::streams::StreamExecutor;
pub(crate) use self::tls_handshake::TlsHandshake;
use self::tracked_body::TrackedBody;
use crate::config::Bounds;
use crate::config::ServerConfig;
use crate::transport::shutdown::Shutdown;

/// What is known about a connection and its client. It is shared by all that serve the connection, because most connections are idle
/// and each copy would be kept.
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
    /// `None` without TLS.
    pub(crate) handshake: Option<Arc<TlsHandshake>>,
    /// The slot that the connection occupies.
    pub(crate) slot: Slot,
}

impl Connection {
    /// When the TLS handshake began, and how long it took, for the trace of the first request. `None` without TLS, and for all later
    /// requests.
    pub(crate) fn take_handshake(&self) -> Option<(SystemTime, Duration)> {
        self.handshake.as_ref()?.tell()
    }
}

/// Answers the requests of a listener.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// The body of a response.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// The service for one connection, with what its requests share.
    #[must_use]
    fn for_connection(self) -> Self {
        self
    }

    /// Answers one request.
    fn answer(
        &self,
        connection: &Connection,
        request: Request<ReceivedBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The response to a request whose head is malformed or exceeds a limit. `target` is the beginning of the request's
    /// target, empty if there is none.
    fn reject_head(&self, status: StatusCode, target: &str) -> Response<Self::Body>;

    /// The response to a request whose handling panicked.
    fn failure() -> Response<Self::Body>;
}

/// Serves connections within the configured limits.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    settings: Arc<Settings>,
    stop: Shutdown,
    tokens: SocketTokens,
}

/// What all connections of a listener have in common. Each has only a pointer to it, because most connections are idle.
#[derive(Debug)]
struct Settings {
    http1: http1::Builder,
    http2: http2::Builder<StreamExecutor>,
    header_timeout: Duration,
    bounds: Bounds,
    max_header_size: usize,
    limits: HeadLimits,
    drain_limit: Duration,
}

/// What ends the connections of a socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct SocketTokens {
    /// Cancelled when connections should end after their running requests.
    closing: CancellationToken,
    /// Cancelled when the rules by which the clients were accepted hold no more, so that no other request may begin.
    revoked: CancellationToken,
}

impl SocketTokens {
    /// Ends the connections after their running requests. With `revokes`, a request that has not begun yet is refused.
    pub(crate) fn drain(&self, revokes: bool) {
        if revokes {
            self.revoked.cancel();
        }
        self.closing.cancel();
    }
}

impl Protocol {
    /// After `stop` was requested, every response is the last one on its connection. Once the token of [`Self::until`] is
    /// cancelled, idle connections are closed, and other connections after their current request.
    pub(crate) fn new(config: &ServerConfig, stop: Shutdown) -> Self {
        let bounds = config.bounds;
        let buffer_size = config.max_header_size.max(SMALLEST_BUFFER);
        let mut http1 = http1::Builder::new();
        // `Watchdog` bounds the time of a head, because hyper doesn't distinguish a slow head from an idle connection.
        http1.header_read_timeout(None).max_buf_size(buffer_size);
        if config.max_headers != HYPERS_HEADERS {
            // hyper then allocates memory for each head.
            http1.max_headers(config.max_headers);
        }
        let mut http2 = http2::Builder::new(StreamExecutor {
            send_timeout: bounds.send_timeout,
        });
        // h2's limits on resets end a flood of them (CVE-2023-44487). But its default of 20 is less than what an ordinary
        // client may have open, and take back at once: a proxy whose clients leave together.
        let open_streams = usize::try_from(bounds.max_streams).unwrap_or(usize::MAX);
        http2
            .max_pending_accept_reset_streams(open_streams)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(bounds.max_streams)
            .enable_connect_protocol()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // Beyond this, h2 rejects the request by itself. `limits` are stricter.
            .max_header_list_size(u32::try_from(2 * config.max_header_size).unwrap_or(u32::MAX));
        let settings = Settings {
            http1,
            http2,
            header_timeout: config.header_timeout,
            bounds,
            max_header_size: config.max_header_size,
            limits: HeadLimits {
                size: buffer_size,
                fields: config.max_headers,
            },
            drain_limit: config.shutdown_timeout,
        };
        Self {
            settings: Arc::new(settings),
            stop,
            tokens: SocketTokens::default(),
        }
    }

    /// The same protocol for connections of a socket with these tokens.
    pub(crate) fn until(self, tokens: SocketTokens) -> Self {
        Self { tokens, ..self }
    }

    /// Completes when a client that hasn't sent a request yet is out of time: after `header_timeout`, or shortly after
    /// the listener closes, so that bytes on their way still arrive.
    pub(crate) async fn header_deadline(&self) {
        let last_call = async {
            self.tokens.closing.cancelled().await;
            tokio::time::sleep(LAST_CALL).await;
        };
        // Either one is the deadline.
        let _ = tokio::time::timeout(self.settings.header_timeout, last_call).await;
    }

    /// Serves one connection until it ends or the listener closes. A client that exceeds a timeout is cut off.
    pub(crate) async fn serve<S>(self, stream: S, connection: Arc<Connection>, service: impl Service)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = connection.peer;
        let service = service.for_connection();
        let Self { settings, stop, tokens } = self;
        let (stopping, SocketTokens { closing, revoked }) = (stop.clone(), tokens);
        let activity = Arc::new(Activity::new(client));
        let requests = Arc::clone(&activity);
        let (mut stream, seen) = ObservedStream::new(stream, settings.limits);
        let mut watchdog = Watchdog::new(
            Arc::clone(&activity),
            Arc::clone(&seen),
            settings.bounds,
            settings.header_timeout,
        );
        // hyper-util tells the versions apart, too, but its way makes hyper keep a buffer of twice the size.
        let version = tokio::select! {
            biased;
            version = stream.version() => version,
            () = last_call(&activity, &closing) => return,
            timeout = watchdog.expired() => return timeout.log(client),
        };
        let version = match version {
            Ok(version) => version,
            Err(error) => return tracing::debug!(%error, %client, "a connection failed"),
        };
        let rejecting = service.clone();
        let reject: Reject =
            Box::new(move |status, head| rejected_head::serialize(head, rejecting.reject_head(status, &head.target)));
        let stream = ClientStream::new(stream, Arc::clone(&seen), Arc::clone(&activity), reject);
        let framing = Arc::clone(&seen);
        let (max_header_size, max_headers) = (settings.max_header_size, settings.limits.fields);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let active_request = activity.request();
            let (service, mut connection, seen) = (service.clone(), Arc::clone(&connection), Arc::clone(&framing));
            let accept = extended_connect::into_upgrade(&mut request);
            if accept.is_some() {
                // The connection is in use as long as the WebSocket is open.
                let slot = connection.slot.of_stream(activity.request());
                Arc::make_mut(&mut connection).slot = slot;
            }
            let ambiguity = seen.next_request();
            let (stop, is_revoked) = (stopping.clone(), revoked.is_cancelled());
            // Boxed because hyper reserves room for the future in each connection, and most connections are idle.
            Box::pin(async move {
                if let Some(ambiguity) = ambiguity {
                    request.extensions_mut().insert(ambiguity);
                }
                let version = request.version();
                let is_too_large = is_too_large(&request, max_header_size, max_headers);
                let mut response = if is_revoked {
                    // The client may try again on another connection (RFC 9110, section 15.5.20).
                    service.reject_head(StatusCode::MISDIRECTED_REQUEST, request.uri().path())
                } else if is_too_large {
                    fault::report("max_header_size", connection.peer);
                    service.reject_head(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, request.uri().path())
                } else {
                    let request = request.map(|body| ReceivedBody::new(body, version));
                    answer_or_failure(&service, &connection, request).await
                };
                // Bytes after an ambiguous request may be a part of it. Before a shutdown the client is told too, since
                // a request that is sent while its connection closes is lost. A 408 says that the rest of a body isn't
                // waited for (RFC 9110, section 15.5.9).
                let is_given_up = response.status() == StatusCode::REQUEST_TIMEOUT;
                let ends = ambiguity.is_some() || is_too_large || is_revoked || is_given_up || stop.was_requested();
                if ends && version < Version::HTTP_2 {
                    let headers = response.headers_mut();
                    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                if accept.is_some_and(|accept| !accept.turn(&mut response)) {
                    tracing::warn!(client = %connection.peer, "an upstream switched to a WebSocket without proving that it speaks it");
                    response = service.reject_head(StatusCode::BAD_GATEWAY, "");
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    seen.upgrade();
                }
                Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, active_request)))
            })
        });
        let stream = TokioIo::new(stream);
        let driver = Driver {
            activity: requests,
            seen,
            watchdog,
            closing,
            stop,
            drain_limit: settings.drain_limit,
            client,
        };
        match version {
            HttpVersion::Http1 => {
                let served = settings.http1.serve_connection(stream, service).with_upgrades();
                let close = http1::UpgradeableConnection::graceful_shutdown;
                driver.drive(served, close).await;
            }
            // Boxed because most connections that are idle speak HTTP/1.1.
            HttpVersion::Http2 => {
                let served = settings.http2.serve_connection(stream, service);
                Box::pin(driver.drive(served, http2::Connection::graceful_shutdown)).await;
            }
        }
    }
}

/// Turns a panic into a response, so that one failed request doesn't end the other requests of its connection.
async fn answer_or_failure<S: Service>(
    service: &S,
    connection: &Connection,
    request: Request<ReceivedBody>,
) -> Response<S::Body> {
    match catch_panic(service.answer(connection, request)).await {
        Some(response) => response,
        None => S::failure(),
    }
}

/// Whether the head of a request exceeds a limit. hyper has enforced the limits on HTTP/1.1 only roughly: it accepts a
/// larger head that arrives in one piece.
fn is_too_large(request: &Request<Incoming>, max_size: usize, max_fields: usize) -> bool {
    let overhead = match request.version() {
        Version::HTTP_2 => LIST_OVERHEAD,
        _ => LINE_OVERHEAD,
    };
    let headers = request.headers();
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + overhead;
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    headers.len() > max_fields || headers.iter().map(size).sum::<usize>() + target > max_size
}

/// The output of a future. `None` if it panicked, which is logged.
///
/// Not an `async fn`: that would keep room for the future twice, and copy it with every request.
pub(crate) fn catch_panic<T>(future: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    AssertUnwindSafe(future).catch_unwind().map(|output| {
        if output.is_err() {
            tracing::error!("handling a request panicked; standard error has the message");
        }
        output.ok()
    })
}

/// How long a client may still send a request after the listener closed.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How many header fields hyper accepts by default.
const HYPERS_HEADERS: usize = 100;

/// What each field of HTTP/2 adds to the size of a list (RFC 9113, section 6.5.2).
const LIST_OVERHEAD: usize = 32;
/// What a line of HTTP/1.1 has besides name and value.
const LINE_OVERHEAD: usize = ": \r\n".len();

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
