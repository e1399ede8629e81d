//! `authorize_with`: before a request is forwarded, its upstream is asked whether the user may send it. Any error is
//! answered with a denial, 503.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Either;
use http_body_util::Full;
use metrics::counter;
use portcullis::decision::Authenticated;
use portcullis_wire::path::CanonicalPath;
use tokio::sync::Semaphore;

use crate::answers::response;
use crate::config::AuthorizeWith;
use crate::generation::Destination;
use crate::generation::Generation;
use crate::generation::Route;
use crate::pipeline::admission::Admitted;
use crate::pipeline::audit::Denial;
use crate::pipeline::decisions::Decider;
use crate::pipeline::entrance::Entrance;
use crate::pipeline::head::UpstreamHead;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::record::Record;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::target::Target;
use crate::proxy;
use crate::proxy::Proxy;
use crate::proxy::body::Body;
use crate::routing::template::BindError;
use crate::telemetry::Phase;
use crate::transport::connection::Slot;

use super::decision_cache::CachedVerdict;
use super::decision_cache::DecisionCache;
use super::verdict::UpstreamVerdict;

/// Sends authorization requests to upstreams, a bounded number at once.
#[derive(Debug)]
pub(crate) struct UpstreamAuthorizer {
    cache: DecisionCache,
    permits: Arc<Semaphore>,
}

impl Admitted {
    /// Asks the upstream whether the request may be forwarded, if the route is configured so. Without an answer the
    /// request is rejected.
    pub(super) async fn ask_upstream(
        mut self,
        entrance: Entrance,
        authorizer: &UpstreamAuthorizer,
        proxy: &Proxy,
        generation: Arc<Generation>,
    ) -> Result<Outgoing, Rejection> {
        let Some(with) = &self.route.config.authorize else {
            return Ok(self.into_outgoing(generation, None));
        };
        let path = match with.template.bind(&self.request.target.path) {
            Ok(path) => path,
            Err(unbound) => {
                let decider = Decider {
                    outcome: "unserved",
                    by: "route",
                };
                return Err(self.deny(decider, unbound.response(), Some(unbound.to_string())));
            }
        };
        let check = format!("{} {path}", with.template.method());
        if !entrance.serves() {
            let upstream = self.route.config.upstream.as_ref();
            let upstream = upstream.map(ToString::to_string).unwrap_or_default();
            let condition = format!(
                "{} {upstream}{path} is answered 2xx for this user",
                with.template.method()
            );
            return Ok(self.into_outgoing(generation, Some(condition)));
        }
        let started = Instant::now();
        let verdict = match self.sender.user() {
            Some(user) => {
                authorizer
                    .check(proxy, with, &self.head(&generation), user, path, &check)
                    .await
            }
            // A route with `authorize_with` authenticates every request; the configuration is rejected otherwise.
            None => UpstreamVerdict::Unavailable("there is no user".into()),
        };
        if let Some(trace) = Record::trace_of(&self.request.parts) {
            trace.phase(&Phase {
                name: "authorize",
                outcome: verdict.label(),
                by: "upstream",
                elapsed: started.elapsed(),
                role: "upstream",
                steps: &[],
            });
        }
        let Some(refusal) = verdict.refusal() else {
            return Ok(self.into_outgoing(generation, None));
        };
        let decider = Decider {
            outcome: verdict.label(),
            by: "upstream",
        };
        let denial = Denial {
            asked: Some(&check),
            why: &verdict.to_string(),
            status: refusal.status(),
            ..Denial::new(decider)
        };
        self.log_denial(&denial);
        Err(self.deny(decider, refusal, None))
    }

    fn into_outgoing(self, generation: Arc<Generation>, condition: Option<String>) -> Outgoing {
        Outgoing {
            admitted: self,
            generation,
            condition,
        }
    }
}

impl UpstreamAuthorizer {
    pub(crate) fn new() -> Self {
        Self {
            cache: DecisionCache::new(),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_CHECKS)),
        }
    }

    /// The upstream's verdict about a user. Concurrent identical checks share one request.
    async fn check(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        head: &UpstreamHead<'_>,
        user: &Authenticated,
        path: CanonicalPath,
        check: &str,
    ) -> UpstreamVerdict {
        let Ok(key) = key(head, user, check) else {
            return UpstreamVerdict::Unavailable("the user can't be written as JSON".into());
        };
        // Boxed because few requests ask, and every request would hold room for it.
        let check = || Box::pin(self.check_upstream(proxy, with, head, path));
        let (verdict, was_cached) = self.cache.get(key, check).await;
        counter!("portcullis_route_authorizations_total",
            "route" => head.route.name.clone(), "verdict" => verdict.label(), "kept" => was_cached.to_string())
        .increment(1);
        verdict
    }

    async fn check_upstream(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        head: &UpstreamHead<'_>,
        path: CanonicalPath,
    ) -> CachedVerdict {
        let verdict = match tokio::time::timeout(TIMEOUT, self.send_check(proxy, with, head, path)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => check_failed(head.route, &why),
            Err(_) => check_failed(head.route, "it did not answer in time"),
        };
        let lifetime = verdict.lifetime(with.cached_for);
        CachedVerdict::new(verdict, lifetime)
    }

    async fn send_check(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        head: &UpstreamHead<'_>,
        path: CanonicalPath,
    ) -> Result<UpstreamVerdict, String> {
        let Some(Destination::Upstream(upstream)) = &head.route.upstream else {
            return Err("there is no upstream".to_owned());
        };
        let target = Target {
            authority: head.target.authority.clone(),
            path,
            query: None,
        };
        let check = UpstreamHead {
            target: &target,
            // Only the authorization request carries the secrets: the program behind the route may belong to a user.
            identity: &head.route.config.identity,
            ..*head
        };
        let mut received = Request::new(()).into_parts().0;
        received.method = with.template.method().clone();
        received.headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("*/*"))]);
        let head = check
            .write(&upstream.config.base, received)
            .map_err(|error| error.to_string())?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| error.to_string())?;
        let request = proxy::Forward {
            head,
            body: Either::Right(Full::default()),
            upgrade: None,
            over: None,
            timeout: TIMEOUT,
            slot: Slot::uncounted(permit),
            owner: None,
            trailers: Arc::default(),
        };
        let response = proxy.forward(upstream, request).await;
        UpstreamVerdict::of(response.map_err(|unanswered| unanswered.error.to_string())?.status())
    }
}

impl BindError {
    /// The response if no authorization request can be made for the path.
    fn response(self) -> Response<Body> {
        match self {
            Self::Ambiguous => response::error(StatusCode::BAD_REQUEST, &self.to_string()),
            Self::Missing => response::error(StatusCode::NOT_FOUND, "Not found"),
        }
    }
}

/// Everything that a verdict depends on, serialized so that different checks never share a key.
fn key(head: &UpstreamHead<'_>, user: &Authenticated, check: &str) -> serde_json::Result<String> {
    let host = head.target.authority.as_deref();
    // Another upstream, or the same one asked in another way, may have another verdict.
    let route = head.route.digest.as_bytes();
    let permits = head.permits.iter();
    let permits = permits.map(|permit| (permit.authorizer(), Vec::from_iter(permit.attributes())));
    let permits = Vec::from_iter(permits);
    serde_json::to_string(&(route, check, host, user.authenticator(), user.identity(), permits))
}

fn check_failed(route: &Route, why: &str) -> UpstreamVerdict {
    tracing::warn!(route = route.name, why, "the authorization request failed");
    UpstreamVerdict::Unavailable(why.into())
}

/// How long an upstream may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONCURRENT_CHECKS: usize = 256;
