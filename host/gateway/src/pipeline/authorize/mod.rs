//! `authorize_with`: before a request goes on, its upstream is asked as that user whether it may. What the gateway can't
//! learn is no: 503, never a way in.

mod decision_cache;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Either;
use http_body_util::Empty;
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
use crate::pipeline::entrance::Entrance;
use crate::pipeline::head::UpstreamHead;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::target::Target;
use crate::proxy;
use crate::proxy::Proxy;
use crate::proxy::body::Body;
use crate::routing::template::BindError;

use self::decision_cache::Answer;
use self::decision_cache::DecisionCache;
use self::verdict::Verdict;

/// Asks upstreams about users, a bounded number of questions at once.
#[derive(Debug)]
pub(crate) struct Authorizer {
    cache: DecisionCache,
    permits: Arc<Semaphore>,
}

impl Admitted {
    /// Asks the upstream whether the request may go on, where its route wants that. Without an answer it may not.
    ///
    /// An explained request is not asked about: the question becomes its proviso.
    pub(super) async fn authorize(
        self,
        entrance: Entrance,
        authorizer: &Authorizer,
        proxy: &Proxy,
        generation: Arc<Generation>,
    ) -> Result<Outgoing, Rejection> {
        let Some(with) = &self.route.config.authorize else {
            return Ok(self.goes_on(generation, None));
        };
        let path = match with.template.bind(&self.request.target.path) {
            Ok(path) => path,
            Err(unbound) => return Err(self.deny(unbound.response(), Some(unbound.to_string()))),
        };
        let question = format!("{} {path}", with.template.method());
        if !entrance.serves() {
            let upstream = self.route.config.upstream.as_ref();
            let upstream = upstream.map(ToString::to_string).unwrap_or_default();
            let proviso = format!(
                "{} {upstream}{path} is answered 2xx for this user",
                with.template.method()
            );
            return Ok(self.goes_on(generation, Some(proviso)));
        }
        let verdict = match self.sender.user() {
            Some(user) => {
                authorizer
                    .check(proxy, with, &self.head(&generation), user, path, &question)
                    .await
            }
            // Configurations in which an anonymous request comes here are refused.
            None => Verdict::Unavailable,
        };
        let Some(refusal) = verdict.refusal() else {
            return Ok(self.goes_on(generation, None));
        };
        if let Some(user) = self.sender.user() {
            let entry = self.entry();
            entry.unauthorized(user, &question, verdict.label(), refusal.status());
        }
        Err(self.deny(refusal, None))
    }

    fn goes_on(self, generation: Arc<Generation>, proviso: Option<String>) -> Outgoing {
        Outgoing {
            admitted: self,
            generation,
            proviso,
        }
    }
}

impl Authorizer {
    pub(crate) fn new() -> Self {
        Self {
            cache: DecisionCache::new(),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_CHECKS)),
        }
    }

    /// What the upstream says about a user. Concurrent identical checks share one request.
    async fn check(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        head: &UpstreamHead<'_>,
        user: &Authenticated,
        path: CanonicalPath,
        question: &str,
    ) -> Verdict {
        let Ok(key) = key(head, user, question) else {
            return Verdict::Unavailable;
        };
        let (verdict, was_cached) = self.cache.get(key, self.answer(proxy, with, head, path)).await;
        counter!("portcullis_route_authorizations_total",
            "route" => head.route.name.clone(), "verdict" => verdict.label(), "kept" => was_cached.to_string())
        .increment(1);
        verdict
    }

    async fn answer(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        head: &UpstreamHead<'_>,
        path: CanonicalPath,
    ) -> Answer {
        let verdict = match tokio::time::timeout(TIMEOUT, self.ask(proxy, with, head, path)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => unanswered(head.route, &why),
            Err(_) => unanswered(head.route, "it did not answer in time"),
        };
        Answer::new(verdict, verdict.counts(with.cached_for))
    }

    async fn ask(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        head: &UpstreamHead<'_>,
        path: CanonicalPath,
    ) -> Result<Verdict, String> {
        let Some(Destination::Upstream(upstream)) = &head.route.upstream else {
            return Err("there is no upstream".to_owned());
        };
        let target = Target {
            authority: head.target.authority.clone(),
            path,
            query: None,
        };
        let question = UpstreamHead {
            target: &target,
            // The secrets go with the question alone: what is behind the route may be the users' own.
            identity: &head.route.config.identity,
            ..*head
        };
        let mut received = Request::new(()).into_parts().0;
        received.method = with.template.method().clone();
        received.headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("*/*"))]);
        let head = question
            .write(&upstream.config.base, received)
            .map_err(|error| error.to_string())?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| error.to_string())?;
        let request = proxy::Forward {
            head,
            body: Either::Right(Empty::<Bytes>::new()),
            upgrade: None,
            timeout: TIMEOUT,
            slot: Arc::new(permit),
            trailers: Arc::default(),
        };
        let response = proxy.forward(upstream, request).await;
        Verdict::of(response.map_err(|unanswered| unanswered.error.to_string())?.status())
    }
}

impl BindError {
    /// What a client gets whose path leads to no question.
    fn response(self) -> Response<Body> {
        match self {
            Self::Ambiguous => response::error(StatusCode::BAD_REQUEST, &self.to_string()),
            Self::Missing => response::error(StatusCode::NOT_FOUND, "Not found"),
        }
    }
}

/// All that an answer depends on, written so that no two questions look alike.
fn key(head: &UpstreamHead<'_>, user: &Authenticated, question: &str) -> serde_json::Result<String> {
    let host = head.target.authority.as_deref();
    serde_json::to_string(&(&head.route.name, question, host, user.authenticator(), user.identity()))
}

fn unanswered(route: &Route, why: &str) -> Verdict {
    tracing::warn!(route = route.name, why, "the upstream can't be asked about a user");
    Verdict::Unavailable
}

/// How long an upstream may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONCURRENT_CHECKS: usize = 256;
