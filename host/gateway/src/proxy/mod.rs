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

use self::body::Progress;
use self::body::RequestBody;
pub(crate) use self::body::ResponseBody;
use self::error::ProxyError;
pub(crate) use self::error::Unanswered;
use self::expect::Leave;
use self::group::Group;
use self::retry::Attempts;
pub(crate) use self::server::AcceptsTrailers;
use self::server::Answered;
use self::server::Held;
use self::server::Terms;
use self::server::Underway;
use self::trailers::Forbidden;
pub(crate) use self::upgrade::Tunnels;
pub(crate) use self::upgrade::Upgrade;
use crate::config::Protocol;
use crate::config::Upstream;
use crate::config::UpstreamConfig;
use crate::generation::Generation;
use crate::proxy::body;
use crate::proxy::body::Body;
use crate::proxy::body::ClientBody;
use crate::transport::connection::Slot;

/// The servers of all upstreams with the connections to them, and the upgraded connections.
pub(crate) struct Proxy {
    groups: HashMap<String, Arc<Group>>,
    trailers: Arc<Forbidden>,
    tunnels: Tunnels,
}

impl Proxy {
    /// Knows the upstreams of all routes. Routes that name the same share its servers.
    pub(crate) fn new(generation: &Generation) -> Self {
        let mut groups = HashMap::new();
        for route in generation.routes() {
            if let Some(Upstream::Http(config)) = &route.upstream {
                groups
                    .entry(config.name.clone())
                    .or_insert_with(|| Arc::new(Group::new(Arc::clone(config))));
            }
        }
        Self {
            groups,
            trailers: Arc::new(Forbidden::new(generation)),
            tunnels: Tunnels::new(),
        }
    }

    /// Looks after the servers from now on, where that is configured.
    pub(crate) fn watch(&self) {
        for group in self.groups.values() {
            group.watch();
        }
    }

    /// Sends a request on, and waits for the head of the response. The target of the `head` is a path, and its `Host` is
    /// whom the client asked for. The `timeout` runs while the upstream is waited for, so that a long upload takes the
    /// time that it needs.
    pub(crate) async fn forward(
        &self,
        upstream: &Arc<UpstreamConfig>,
        head: request::Parts,
        body: Either<ClientBody, Empty<Bytes>>,
        upgrade: Option<Upgrade>,
        timeout: Duration,
        slot: Slot,
    ) -> Result<Response<Body>, Unanswered> {
        let known = self.groups.get(&upstream.name).cloned();
        let group = known.unwrap_or_else(|| Arc::new(Group::new(Arc::clone(upstream))));
        // HTTP/2 has no upgrades: the request is served as if it hadn't asked for one.
        let upgrade = upgrade.filter(|_| upstream.protocol != Protocol::Http2);
        let terms = Terms {
            timeout,
            progress: Progress::default(),
            upgrades: upgrade.is_some(),
            trailers: Arc::clone(&self.trailers),
        };
        let mut request = Request::from_parts(head, RequestBody::new(body, terms.progress.clone()));
        if let Some(upgrade) = &upgrade {
            upgrade.ask(request.headers_mut());
        }
        let leave = expect::follow(&mut request);
        let (answered, underway) = Attempts::new(&group, &terms).send(request).await?;
        let Answered { response, held } = answered;
        if let Some(leave) = leave.as_ref().filter(|_| response.status().is_success()) {
            // It goes on without having said so before.
            leave.give();
        }
        let server = Arc::clone(&underway.0);
        let exchange = Exchange {
            _underway: underway,
            _held: held,
            _leave: leave,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let switched = self.switch(response, upgrade, slot, exchange, upstream.idle_timeout);
            return switched.ok_or_else(|| Unanswered::new(&server, ProxyError::Protocol));
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

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("upstreams", &self.groups.keys()).finish()
    }
}

/// What an exchange takes while its response is on its way.
pub(crate) struct Exchange {
    _underway: Underway,
    _held: Held,
    /// Nobody can give leave any more when it is gone, and then a body that still waits for it breaks off.
    _leave: Option<Leave>,
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
