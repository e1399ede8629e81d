//! Forwards requests to upstreams and returns their responses. Bodies are streamed in both directions. A failed request
//! is repeated only if no server has processed it, or if processing it twice is harmless.

mod addresses;
pub(crate) mod body;
mod bound;
mod connect;
mod counters;
mod error;
mod expect;
mod group;
mod health;
mod health_check;
mod pool;
mod retry;
mod server;
mod trailers;
mod upgrade;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request;
use http::response;
use http_body::Body as _;
use http_body_util::Either;
use http_body_util::Full;
use hyper::body::Incoming;
use portcullis_wire::content_length;
use portcullis_wire::hop_by_hop;

use self::body::ContinueSignal;
use self::body::Progress;
use self::body::RequestBody;
pub(crate) use self::body::ResponseBody;
pub(crate) use self::bound::BoundConnections;
pub(crate) use self::bound::Owner;
use self::error::ProxyError;
pub(crate) use self::error::Unanswered;
pub(crate) use self::group::UpstreamGroup;
use self::retry::Attempts;
pub(crate) use self::server::AcceptsTrailers;
use self::server::ConnectionLease;
use self::server::ExchangeContext;
use self::server::InFlight;
use self::server::ServerResponse;
pub(crate) use self::trailers::ForbiddenTrailers;
pub(crate) use self::upgrade::Over;
pub(crate) use self::upgrade::Tunnels;
pub(crate) use self::upgrade::Upgrade;
use crate::config::Protocol;
use crate::config::UpstreamConfig;
use crate::proxy::body::Body;
use crate::proxy::body::ClientBody;
use crate::transport::connection::Slot;

/// Forwards requests, and has the upgraded connections. A `Proxy` outlives a generation of the configuration.
#[derive(Debug)]
pub(crate) struct Proxy {
    runs_tasks: bool,
    tunnels: Tunnels,
}

/// A request to forward.
pub(crate) struct Forward {
    /// The target is a path. `Host` is the host that the client requested.
    pub(crate) head: request::Parts,
    /// The client's body, or one of the gateway's own, which may be empty.
    pub(crate) body: Either<ClientBody, Full<Bytes>>,
    /// `None` if the client requests no upgrade.
    pub(crate) upgrade: Option<Upgrade>,
    /// When the session is over that admitted the request, and with it an upgraded connection. `None` if no session did.
    pub(crate) over: Option<Over>,
    /// How long the response may take to begin. The time doesn't run while the client sends its body, so a long upload
    /// doesn't count.
    pub(crate) timeout: Duration,
    /// The slot of the client's connection, which an upgraded connection keeps.
    pub(crate) slot: Slot,
    /// The client connection that keeps a connection that was authenticated. `None` if it can't have one of its own.
    pub(crate) owner: Option<Owner>,
    /// The trailers that the client may not send.
    pub(crate) trailers: Arc<ForbiddenTrailers>,
}

impl Proxy {
    /// A proxy that checks the health of servers and follows their addresses.
    pub(crate) fn new() -> Self {
        Self {
            runs_tasks: true,
            tunnels: Tunnels::new(),
        }
    }

    /// A proxy without tasks of its own, for commands that only examine a configuration.
    pub(crate) fn idle() -> Self {
        Self {
            runs_tasks: false,
            ..Self::new()
        }
    }

    /// Starts an upstream, without connections. It ends when its last handle is dropped.
    pub(crate) fn start(&self, config: &Arc<UpstreamConfig>) -> Arc<UpstreamGroup> {
        let upstream = Arc::new(UpstreamGroup::new(Arc::clone(config)));
        if self.runs_tasks {
            upstream.start();
        }
        upstream
    }

    /// Forwards a request, and waits for the head of the response.
    pub(crate) async fn forward(
        &self,
        upstream: &UpstreamGroup,
        request: Forward,
    ) -> Result<Response<Body>, Unanswered> {
        let Forward {
            head,
            body,
            upgrade,
            over,
            timeout,
            slot,
            owner,
            trailers,
        } = request;
        let config = &upstream.config;
        // HTTP/2 has no upgrades, so the request is forwarded as an ordinary one.
        let upgrade = upgrade.filter(|_| config.protocol != Protocol::Http2);
        let context = ExchangeContext {
            timeout,
            progress: Progress::default(),
            upgrades: upgrade.is_some(),
            owner,
            trailers,
        };
        let method = head.method.clone();
        let mut request = Request::from_parts(head, RequestBody::new(body, context.progress.clone()));
        if let Some(upgrade) = &upgrade {
            upgrade.write_request(request.headers_mut());
        }
        let signal = expect::follow(&mut request);
        let (answered, in_flight) = Attempts::new(upstream, &context).send(request).await?;
        let ServerResponse { response, lease } = answered;
        if let Some(signal) = signal.as_ref().filter(|_| response.status().is_success()) {
            // The upstream accepted the request without a 100 response.
            signal.open();
        }
        let server = Arc::clone(&in_flight.0);
        let exchange = Exchange {
            _in_flight: in_flight,
            _lease: lease,
            _signal: signal,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let switched = self.switch(response, upgrade.zip(Some(over)), (slot, exchange), config.idle_timeout);
            return switched.ok_or_else(|| Unanswered::new(&server.name, ProxyError::Protocol));
        }
        let (head, body) = response.into_parts();
        let length = content_length::of_response(&method, &head, body.size_hint().exact())
            .map_err(|error| Unanswered::new(&server.name, ProxyError::Framing(error)))?;
        let body = ResponseBody::new(body, context.progress, config.idle_timeout, exchange).with_version(head.version);
        Ok(clean(head, length, Either::Right(body)))
    }

    /// Waits until all upgraded connections have ended by themselves.
    pub(crate) async fn gone(&self) {
        self.tunnels.finished().await;
    }

    /// Ends all upgraded connections.
    pub(crate) async fn close(&self) {
        self.tunnels.close().await;
    }

    /// Starts the upgraded connection. `None` if the client didn't offer the protocol that the upstream chose.
    fn switch(
        &self,
        mut response: Response<Incoming>,
        upgrade: Option<(Upgrade, Option<Over>)>,
        held: (Slot, Exchange),
        idle_timeout: Duration,
    ) -> Option<Response<Body>> {
        let (upgrade, over) = upgrade?;
        let protocol = upgrade.agreed(response.headers())?;
        let upstream = hyper::upgrade::on(&mut response);
        self.tunnels.spawn((upgrade, upstream), over, held, idle_timeout);
        let mut response = clean(response.into_parts().0, None, body::full(Bytes::new()));
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, protocol);
        Some(response)
    }
}

/// What an exchange occupies until the end of its response.
pub(crate) struct Exchange {
    _in_flight: InFlight,
    _lease: ConnectionLease,
    /// A body that is still waiting for the signal ends with an error when the signal is dropped.
    _signal: Option<ContinueSignal>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// Drives a future to completion. Returns `None` if there is no progress for `limit` while the exchange isn't waiting
/// for the client.
async fn with_idle_timeout<T>(progress: &Progress, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        let before = progress.mark();
        match tokio::time::timeout(limit, &mut future).await {
            Ok(outcome) => return Some(outcome),
            Err(_) if progress.mark() == before && !progress.waits_for_client() => return None,
            Err(_) => {}
        }
    }
}

/// Removes what belongs to the upstream's connection: the version, the extensions, the hop-by-hop headers and the length
/// of the body, for which `length` is set.
fn clean(head: response::Parts, length: Option<u64>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    hop_by_hop::remove(response.headers_mut());
    content_length::set(response.headers_mut(), length);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_slow_upload_may_take_longer_than_the_limit() {
        let progress = Progress::default();
        let upload = async {
            for _ in 0..10 {
                tokio::time::sleep(LIMIT * 9 / 10).await;
                progress.step();
            }
            "uploaded"
        };
        assert_eq!(with_idle_timeout(&progress, LIMIT, upload).await, Some("uploaded"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_sends_nothing_is_given_up() {
        let progress = Progress::default();
        let upload = async {
            progress.step();
            std::future::pending::<()>().await;
        };
        let started = tokio::time::Instant::now();
        assert_eq!(with_idle_timeout(&progress, LIMIT, upload).await, None);
        assert!(started.elapsed() <= LIMIT * 2);
    }
}
