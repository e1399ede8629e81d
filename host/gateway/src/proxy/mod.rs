//! The upstream side: takes a finished request there and brings the response back. Bodies stream both ways; a request is
//! sent again only where no server can have acted on it, or where acting twice does no harm.

pub(crate) mod body;
mod check;
mod connect;
mod counters;
mod error;
mod expect;
mod group;
mod health;
mod pool;
mod retry;
mod server;
mod trailers;
mod upgrade;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request;
use http::response;
use http_body_util::Either;
use http_body_util::Empty;
use hyper::body::Incoming;
use portcullis_wire::hop_by_hop;

use self::body::ContinueSignal;
use self::body::Progress;
use self::body::RequestBody;
pub(crate) use self::body::ResponseBody;
use self::error::ProxyError;
pub(crate) use self::error::Unanswered;
pub(crate) use self::group::UpstreamGroup;
use self::retry::Attempts;
pub(crate) use self::server::AcceptsTrailers;
use self::server::Answered;
use self::server::Held;
use self::server::Terms;
use self::server::Underway;
pub(crate) use self::trailers::ForbiddenTrailers;
pub(crate) use self::upgrade::Tunnels;
pub(crate) use self::upgrade::Upgrade;
use crate::config::Protocol;
use crate::config::UpstreamConfig;
use crate::proxy::body;
use crate::proxy::body::Body;
use crate::proxy::body::ClientBody;
use crate::transport::connection::Slot;

/// The servers of all upstreams with the connections to them, and the upgraded connections. It outlives a generation of
/// the configuration.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// By name, for as long as a generation uses them.
    upstreams: Mutex<HashMap<String, Weak<UpstreamGroup>>>,
    checks_health: bool,
    tunnels: Tunnels,
}

/// One request on its way to an upstream.
pub(crate) struct Forward {
    /// Its target is a path, and its `Host` is whom the client asked for.
    pub(crate) head: request::Parts,
    /// The client's body, or none.
    pub(crate) body: Either<ClientBody, Empty<Bytes>>,
    /// `None` if the client asks for no upgrade.
    pub(crate) upgrade: Option<Upgrade>,
    /// How long the upstream may be waited for. It runs while the upstream's turn it is, so that a long upload takes the
    /// time that it needs.
    pub(crate) timeout: Duration,
    /// The client's place, which an upgraded connection goes on to take.
    pub(crate) slot: Slot,
    /// What the client may not send in a trailer.
    pub(crate) trailers: Arc<ForbiddenTrailers>,
}

impl Proxy {
    /// A proxy that checks the health of servers, where that is configured.
    pub(crate) fn new() -> Self {
        Self {
            upstreams: Mutex::default(),
            checks_health: true,
            tunnels: Tunnels::new(),
        }
    }

    /// A proxy that sends nothing of its own accord, for commands that only look at a configuration.
    pub(crate) fn idle() -> Self {
        Self {
            checks_health: false,
            ..Self::new()
        }
    }

    /// The handle of an upstream. One that is in use already and configured the same keeps its connections, and what is
    /// known of its servers.
    pub(crate) fn upstream(&self, config: &Arc<UpstreamConfig>) -> Arc<UpstreamGroup> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.retain(|_, upstream| upstream.strong_count() > 0);
        let known = upstreams.get(&config.name).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.config.same_as(config)) {
            return known;
        }
        let upstream = Arc::new(UpstreamGroup::new(Arc::clone(config)));
        if self.checks_health {
            upstream.watch();
        }
        upstreams.insert(config.name.clone(), Arc::downgrade(&upstream));
        upstream
    }

    /// Sends a request on, and waits for the head of the response.
    pub(crate) async fn forward(
        &self,
        upstream: &UpstreamGroup,
        request: Forward,
    ) -> Result<Response<Body>, Unanswered> {
        let Forward {
            head,
            body,
            upgrade,
            timeout,
            slot,
            trailers,
        } = request;
        let config = &upstream.config;
        // HTTP/2 has no upgrades: the request is served as if it hadn't asked for one.
        let upgrade = upgrade.filter(|_| config.protocol != Protocol::Http2);
        let terms = Terms {
            timeout,
            progress: Progress::default(),
            upgrades: upgrade.is_some(),
            trailers,
        };
        let mut request = Request::from_parts(head, RequestBody::new(body, terms.progress.clone()));
        if let Some(upgrade) = &upgrade {
            upgrade.ask(request.headers_mut());
        }
        let signal = expect::follow(&mut request);
        let (answered, underway) = Attempts::new(upstream, &terms).send(request).await?;
        let Answered { response, held } = answered;
        if let Some(signal) = signal.as_ref().filter(|_| response.status().is_success()) {
            // The upstream wants the body without having said so before.
            signal.open();
        }
        let server = Arc::clone(&underway.0);
        let exchange = Exchange {
            _underway: underway,
            _held: held,
            _signal: signal,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let switched = self.switch(response, upgrade, slot, exchange, config.idle_timeout);
            return switched.ok_or_else(|| Unanswered::new(&server.name, ProxyError::Protocol));
        }
        let (head, body) = response.into_parts();
        let body = ResponseBody::new(body, terms.progress, upstream.idle_timeout, exchange).of_version(head.version);
        Ok(clean(head, Either::Right(body)))
    }

    /// Waits until no upgraded connection is left.
    pub(crate) async fn gone(&self) {
        self.tunnels.gone().await;
    }

    /// Ends the upgraded connections.
    pub(crate) async fn close(&self) {
        self.tunnels.close().await;
    }

    /// Carries the upgraded connection. None: nobody asked for what the upstream agreed to.
    fn switch(
        &self,
        mut response: Response<Incoming>,
        upgrade: Option<Upgrade>,
        slot: Slot,
        exchange: Exchange,
        idle_timeout: Duration,
    ) -> Option<Response<Body>> {
        let upgrade = upgrade?;
        let protocol = upgrade.agreed(response.headers())?;
        let upstream = hyper::upgrade::on(&mut response);
        self.tunnels.carry(upgrade, upstream, (slot, exchange), idle_timeout);
        let mut response = clean(response.into_parts().0, body::full(Bytes::new()));
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, protocol);
        Some(response)
    }
}

/// What an exchange takes while its response is on its way.
pub(crate) struct Exchange {
    _underway: Underway,
    _held: Held,
    /// When it is dropped, a body that still waits for it breaks off.
    _signal: Option<ContinueSignal>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// What a future comes to. None: it has come to nothing when, for as long as `limit`, nothing has moved.
async fn while_moving<T>(progress: &Progress, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        let before = progress.mark();
        match tokio::time::timeout(limit, &mut future).await {
            Ok(outcome) => return Some(outcome),
            Err(_) if progress.mark() == before && !progress.is_the_clients() => return None,
            Err(_) => {}
        }
    }
}

/// A response without what belongs to the upstream's connection: its version, extensions and hop-by-hop headers.
fn clean(head: response::Parts, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    hop_by_hop::remove(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn an_upload_takes_the_time_that_it_needs() {
        let progress = Progress::default();
        let upload = async {
            for _ in 0..10 {
                tokio::time::sleep(LIMIT * 9 / 10).await;
                progress.step();
            }
            "uploaded"
        };
        assert_eq!(while_moving(&progress, LIMIT, upload).await, Some("uploaded"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_says_nothing_is_given_up() {
        let progress = Progress::default();
        let upload = async {
            progress.step();
            std::future::pending::<()>().await;
        };
        let started = tokio::time::Instant::now();
        assert_eq!(while_moving(&progress, LIMIT, upload).await, None);
        assert!(started.elapsed() <= LIMIT * 2);
    }
}
