//! Retries. A request that no server has seen can always be sent again. A request that a server may have processed is
//! repeated only if that is harmless, no part of a response arrived, and not too many other requests are being
//! repeated.

use std::sync::Arc;
use std::time::Instant;

use http::Method;
use http::Request;
use http::StatusCode;
use http::request;
use http_body::Body;
use http_body_util::Either;
use http_body_util::Full;

use super::body::RequestBody;
use super::error::Unanswered;
use super::group::CountGuard;
use super::group::UpstreamGroup;
use super::server::ExchangeContext;
use super::server::Failure;
use super::server::InFlight;
use super::server::Server;
use super::server::ServerResponse;

/// The attempts to answer one request.
pub(super) struct Attempts<'a> {
    group: &'a UpstreamGroup,
    context: &'a ExchangeContext,
    retries_left: usize,
    tried: Vec<Arc<Server>>,
    /// The head of a request without a body, which can be sent again.
    bodiless: Option<request::Parts>,
    /// The permit to repeat the request.
    permit: Option<CountGuard>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(group: &'a UpstreamGroup, context: &'a ExchangeContext) -> Self {
        Self {
            group,
            context,
            retries_left: group.config.retries,
            tried: Vec::new(),
            bodiless: None,
            permit: None,
        }
    }

    /// Sends the request until a server answers or no further attempt is allowed.
    pub(super) async fn send(
        mut self,
        mut request: Request<RequestBody>,
    ) -> Result<(ServerResponse, InFlight), Unanswered> {
        let _counted = self.group.count_request();
        if self.retries_left > 0 && request.body().is_end_stream() && !self.context.upgrades {
            let (head, body) = request.into_parts();
            self.bodiless = Some(head.clone());
            request = Request::from_parts(head, body);
        }
        let Some(mut server) = self.group.pick(self.context.owner.as_ref()) else {
            return Err(Unanswered::no_server(&self.group.config.name));
        };
        loop {
            let (in_flight, started) = (InFlight::new(&server), Instant::now());
            let mut failure = match server.exchange(request, self.context).await {
                Ok(answered) => {
                    server.counters.answered(started.elapsed());
                    match answered.response.status() {
                        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                            server.health.failed();
                        }
                        _ => server.health.succeeded(),
                    }
                    return Ok((answered, in_flight));
                }
                Err(failure) => failure,
            };
            drop(in_flight);
            server.counters.failed(&failure.error);
            if failure.is_server_fault(self.context) {
                server.health.failed();
            }
            let Some((next, again)) = self.next_attempt(&server, &mut failure) else {
                return Err(Unanswered::new(&server.name, failure.error));
            };
            tracing::debug!(
                upstream = self.group.config.name,
                server = server.name,
                why = %failure.error,
                next = next.name,
                "a request is sent again"
            );
            self.group.retries.increment(1);
            (server, request) = (next, again);
        }
    }

    /// The next server and the request for it, if another attempt is allowed.
    fn next_attempt(
        &mut self,
        server: &Arc<Server>,
        failure: &mut Failure,
    ) -> Option<(Arc<Server>, Request<RequestBody>)> {
        self.retries_left = self.retries_left.checked_sub(1)?;
        self.tried.push(Arc::clone(server));
        let next = match self.group.pick_other(&self.tried) {
            Some(other) => other,
            // The server closed an idle connection, and still accepts new ones.
            None if failure.is_stale_connection() => Arc::clone(server),
            None => return None,
        };
        let request = match failure.unsent.take() {
            Some(unsent) => unsent,
            None => self.rebuild(failure)?,
        };
        Some((next, request))
    }

    /// The request once more, if it is harmless that both are processed.
    fn rebuild(&mut self, failure: &Failure) -> Option<Request<RequestBody>> {
        let bodiless = self.bodiless.as_ref()?;
        let is_harmless = failure.refused || (failure.unanswered && is_idempotent(&bodiless.method));
        if !is_harmless {
            return None;
        }
        if self.permit.is_none() {
            self.permit = Some(self.group.try_repeat()?);
        }
        let body = RequestBody::new(Either::Right(Full::default()), self.context.progress.clone());
        Some(Request::from_parts(bodiless.clone(), body))
    }
}

/// RFC 9110, section 9.2.2. Few upstreams implement the other registered idempotent methods, and some of those aren't
/// idempotent in practice.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}
