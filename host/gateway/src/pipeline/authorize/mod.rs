//! `authorize_with`: before a request goes on, its upstream is asked as that user whether it may. What the gateway can't
//! learn is no: 503, never a way in.

mod decision_cache;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
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

use self::decision_cache::Answer;
use self::decision_cache::Kept;
use self::verdict::Verdict;
use self::verdict::unavailable;
use crate::answers::response;
use crate::config::AuthorizeWith;
use crate::config::Upstream;
use crate::pipeline::audit;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::target::Target;
use crate::proxy::Proxy;
use crate::proxy::body::Body;
use crate::routing::template::Unbound;

/// Asks upstreams, not too many questions at once.
#[derive(Debug)]
pub(crate) struct Authorizer {
    kept: Kept,
    places: Arc<Semaphore>,
}

impl Authorizer {
    pub(crate) fn new() -> Self {
        Self {
            kept: Kept::new(),
            places: Arc::new(Semaphore::new(MAX_QUESTIONS)),
        }
    }

    /// Asks whether a request may go on, where its route wants that. The error is the answer to one that may not.
    pub(crate) async fn admit(
        &self,
        proxy: &Proxy,
        method: &Method,
        outgoing: &Outgoing<'_>,
    ) -> Result<(), Box<Response<Body>>> {
        let Some(with) = &outgoing.route.authorize else {
            return Ok(());
        };
        let path = with
            .template
            .bind(&outgoing.target.path)
            .map_err(|unbound| Box::new(unbound.answer()))?;
        // Configurations in which nobody would be asked about are refused.
        let Some(user) = outgoing.user else {
            return Err(Box::new(unavailable()));
        };
        let asked = format!("{} {path}", with.template.method());
        let key = key(outgoing, user, &asked).map_err(|_| Box::new(unavailable()))?;
        let (verdict, was_kept) = self.kept.get(key, self.answer(proxy, with, outgoing, path)).await;
        counter!("portcullis_route_authorizations_total",
            "route" => outgoing.route.name.clone(), "verdict" => verdict.label(), "kept" => was_kept.to_string())
        .increment(1);
        let entry = audit::Entry {
            client: outgoing.client,
            method,
            route: &outgoing.route.name,
            target: outgoing.target,
        };
        match verdict.refusal() {
            None => Ok(()),
            Some(answer) => {
                entry.unauthorized(user, &asked, verdict.label(), answer.status());
                Err(Box::new(answer))
            }
        }
    }

    async fn answer(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        outgoing: &Outgoing<'_>,
        path: CanonicalPath,
    ) -> Answer {
        let verdict = match tokio::time::timeout(PATIENCE, self.ask(proxy, with, outgoing, path)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => unanswered(outgoing, &why),
            Err(_) => unanswered(outgoing, "it did not answer in time"),
        };
        Answer::new(verdict, verdict.counts(with.kept))
    }

    async fn ask(
        &self,
        proxy: &Proxy,
        with: &AuthorizeWith,
        outgoing: &Outgoing<'_>,
        path: CanonicalPath,
    ) -> Result<Verdict, String> {
        let Some(Upstream::Http(upstream)) = &outgoing.route.upstream else {
            return Err("there is no upstream".to_owned());
        };
        let target = Target {
            authority: outgoing.target.authority.clone(),
            path,
            query: None,
        };
        let question = Outgoing {
            target: &target,
            identity: &outgoing.route.identity_of_checks,
            ..*outgoing
        };
        let mut received = Request::new(()).into_parts().0;
        received.method = with.template.method().clone();
        received.headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("*/*"))]);
        let head = question
            .head(&upstream.base, received)
            .map_err(|error| error.to_string())?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| error.to_string())?;
        let body = Either::Right(Empty::<Bytes>::new());
        let response = proxy
            .forward(upstream, head, body, None, PATIENCE, Arc::new(place))
            .await;
        Verdict::of(response.map_err(|unanswered| unanswered.error.to_string())?.status())
    }
}

impl Unbound {
    /// What a client hears whose path leads to no question.
    pub(crate) fn answer(self) -> Response<Body> {
        match self {
            Self::Ambiguous => response::error(StatusCode::BAD_REQUEST, &self.to_string()),
            Self::Missing => response::error(StatusCode::NOT_FOUND, "Not found"),
        }
    }
}

/// All that a question depends on, written so that no two questions look alike.
fn key(outgoing: &Outgoing<'_>, user: &Authenticated, asked: &str) -> serde_json::Result<String> {
    let host = outgoing.target.authority.as_deref();
    serde_json::to_string(&(&outgoing.route.name, asked, host, user.authenticator(), user.identity()))
}

fn unanswered(outgoing: &Outgoing<'_>, why: &str) -> Verdict {
    tracing::warn!(
        route = outgoing.route.name,
        why,
        "the upstream can't be asked about a user"
    );
    Verdict::Unavailable
}

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_QUESTIONS: usize = 256;
