//! The upstream side: takes a finished request there and brings the response back. Bodies stream both ways; nothing is
//! tried twice.

mod body;
mod error;
mod upgrade;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http::request;
use http::response;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;

use crate::serve::answer;
use crate::serve::answer::Body;
use crate::serve::body::ClientBody;
use crate::serve::connection::Slot;
use crate::serve::headers::hop_by_hop;

use self::body::Progress;
use self::body::RequestBody;
pub(crate) use self::error::ProxyError;
pub(crate) use self::upgrade::Tunnels;
pub(crate) use self::upgrade::Upgrade;

/// Connections to upstreams: a pool for each, and the upgraded ones.
#[derive(Debug)]
pub(crate) struct Proxy {
    client: Client<HttpConnector, RequestBody>,
    tunnels: Tunnels,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(UNREAD));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Self {
            client,
            tunnels: Tunnels::new(),
        }
    }

    /// Sends a request on, and waits for the head of the response. The `timeout` runs while the request's body stands
    /// still, so that a long upload takes the time that it needs.
    pub(crate) async fn forward(
        &self,
        head: request::Parts,
        body: ClientBody,
        upgrade: Option<Upgrade>,
        timeout: Duration,
        slot: Slot,
    ) -> Result<Response<Body>, ProxyError> {
        let (body, progress) = RequestBody::new(body);
        let mut request = http::Request::from_parts(head, body);
        if let Some(upgrade) = &upgrade {
            upgrade.ask(request.headers_mut());
        }
        let response = while_moving(&progress, timeout, self.client.request(request)).await;
        self.finish(
            response.ok_or(ProxyError::Timeout)?.map_err(ProxyError::Unreachable)?,
            upgrade,
            slot,
        )
    }

    /// Ends the upgraded connections.
    pub(crate) async fn close(&self) {
        self.tunnels.close().await;
    }

    fn finish(
        &self,
        mut response: Response<Incoming>,
        upgrade: Option<Upgrade>,
        slot: Slot,
    ) -> Result<Response<Body>, ProxyError> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, body) = response.into_parts();
            return Ok(clean(head, Either::Right(body)));
        }
        let upgrade = upgrade.ok_or(ProxyError::Protocol)?;
        let protocol = upgrade.agreed(response.headers()).ok_or(ProxyError::Protocol)?;
        let upstream = hyper::upgrade::on(&mut response);
        self.tunnels.carry(upgrade, upstream, slot);
        let mut response = clean(response.into_parts().0, answer::body(Bytes::new()));
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, protocol);
        Ok(response)
    }
}

/// What a future comes to. None: it has come to nothing when, for as long as `limit`, the body has stood still.
async fn while_moving<T>(progress: &Progress, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        let before = progress.mark();
        match tokio::time::timeout(limit, &mut future).await {
            Ok(outcome) => return Some(outcome),
            Err(_) if progress.mark() == before => return None,
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

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the 5 seconds after which Node.js closes an idle connection: a request that meets the closing of its
/// connection is lost, because it may have been acted on and is not tried twice.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a connection is silent before the system asks whether the upstream is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long an upstream may leave unread what it was sent. A request that was given up leaves its connection to send what
/// it had begun to, and no one else would end that.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(120);

const MAX_IDLE: usize = 256;

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
