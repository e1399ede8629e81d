//! One exchange with a server, within its bounds. It needs one of the authenticator's permits, for which it doesn't
//! wait, and holds the permit until the response is complete.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use portcullis_wire::content_length;
use portcullis_wire::hop_by_hop;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio::time::timeout_at;
use wasmtime_wasi_http::WasiBody;

use super::Egress;
use super::body::BodyStart;
use super::body::Bounded;
use super::body::body_start;
use super::buffered::BufferedResponse;
use super::counters::SendOutcome;
use super::dialer::Answered;
use super::failure::Failure;
use super::key::Key;
use super::pool::MAX_HEAD;
use super::store::MAX_BODY;
use super::stored::Freshness;
use super::stored::Stored;

/// The outcome of an exchange, for all requests that wait for it.
pub(super) enum ExchangeOutcome {
    /// A response for all of them.
    Response(BufferedResponse, SendOutcome),
    /// No response.
    Failure(Failure),
    /// A response for only one of them, because it is large or sets a cookie.
    Single(Mutex<Option<Response<WasiBody>>>),
}

impl Egress {
    /// Sends a request and streams the response.
    pub(super) async fn pass(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<WasiBody>, Failure> {
        let permit = self.permit()?;
        let now = Instant::now();
        let deadline = now + self.0.exchange;
        let response = timeout_at(deadline.min(now + timeout), self.ask(request)).await;
        let response = response.map_err(|_| Failure::Timeout)??;
        Ok(passed_on(response, Bytes::new(), deadline, permit))
    }

    /// Sends a request whose response may be stored, and stores it.
    pub(super) async fn fetch(self, request: Request<Full<Bytes>>, key: Key) -> ExchangeOutcome {
        let stored = self.0.store.get(&key);
        let mut sent = request.clone();
        match stored
            .as_ref()
            .map(|stored| stored.satisfies(&request, self.0.outbound.refresh_floor))
        {
            // Another exchange has stored a response in the meantime.
            Some(Freshness::Fresh(answer)) => return ExchangeOutcome::Response(answer, SendOutcome::Hit),
            Some(Freshness::Stale(answer)) => return ExchangeOutcome::Response(answer, SendOutcome::Stale),
            Some(Freshness::Validate(validators)) => sent.headers_mut().extend(validators),
            None => {}
        }
        let exchanged = match self.permit() {
            Ok(permit) => self.read(sent, permit).await.unwrap_or_else(ExchangeOutcome::Failure),
            Err(failure) => return ExchangeOutcome::Failure(failure),
        };
        let failed = match &exchanged {
            ExchangeOutcome::Failure(failure) => failure.is_the_servers(),
            ExchangeOutcome::Response(answer, _) => is_failure(answer.status),
            ExchangeOutcome::Single(_) => false,
        };
        let instead = stored
            .as_ref()
            .filter(|_| failed)
            .and_then(|stored| stored.instead(&request));
        if let Some(answer) = instead {
            return ExchangeOutcome::Response(answer, SendOutcome::Stale);
        }
        match (exchanged, stored) {
            (ExchangeOutcome::Response(answer, _), Some(stored)) if answer.status == StatusCode::NOT_MODIFIED => {
                self.0.store.remove(&key);
                match stored.confirmed(&answer.headers) {
                    Some(answer) => self.keep(&request, key, answer, SendOutcome::Revalidated),
                    None => ExchangeOutcome::Failure(Failure::Terminated),
                }
            }
            (ExchangeOutcome::Response(answer, outcome), _) if !failed => {
                self.0.store.remove(&key);
                self.keep(&request, key, answer, outcome)
            }
            (ExchangeOutcome::Single(single), _) => {
                self.0.store.remove(&key);
                ExchangeOutcome::Single(single)
            }
            (exchanged, _) => exchanged,
        }
    }

    fn keep(
        &self,
        request: &Request<Full<Bytes>>,
        key: Key,
        answer: BufferedResponse,
        outcome: SendOutcome,
    ) -> ExchangeOutcome {
        if let Some(stored) = Stored::new(request, answer.clone()) {
            self.0.store.put(key, stored);
        }
        ExchangeOutcome::Response(answer, outcome)
    }

    async fn read(
        &self,
        request: Request<Full<Bytes>>,
        permit: OwnedSemaphorePermit,
    ) -> Result<ExchangeOutcome, Failure> {
        let deadline = Instant::now() + self.0.exchange;
        let exchange = async {
            let mut response = self.ask(request).await?;
            if response.headers().contains_key(header::SET_COOKIE) {
                return Ok((response, BodyStart::Part(Bytes::new())));
            }
            let body_start = body_start(response.body_mut(), MAX_BODY).await;
            Ok((response, body_start.map_err(|_| Failure::Terminated)?))
        };
        let (response, body_start) = timeout_at(deadline, exchange).await.map_err(|_| Failure::Timeout)??;
        Ok(match body_start {
            BodyStart::Whole(body) => {
                let (head, _) = response.into_parts();
                let (status, headers) = (head.status, head.headers);
                ExchangeOutcome::Response(BufferedResponse { status, headers, body }, SendOutcome::Sent)
            }
            BodyStart::Part(begun) => {
                let response = passed_on(response, begun, deadline, permit);
                ExchangeOutcome::Single(Mutex::new(Some(response)))
            }
        })
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let method = request.method().clone();
        let again = method.is_safe().then(|| request.clone());
        let mut answered = self.0.pool.request(request).await;
        // The server was just closing the connection. Nothing was answered, and the request changes nothing.
        if let (Err(error), Some(again)) = (&answered, again)
            && Failure::of(error) == Failure::Terminated
            && had_answered(error)
        {
            answered = self.0.pool.request(again).await;
        }
        let response = answered.map_err(|error| Failure::of(&error))?;
        if let Some(answered) = response.extensions().get::<Answered>() {
            answered.note();
        }
        let head: usize = response
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if head > MAX_HEAD {
            return Err(Failure::Head);
        }
        let (mut head, body) = response.into_parts();
        let length = content_length::of_response(&method, &head, body.size_hint().exact());
        let length = length.map_err(|_| Failure::Coding)?;
        hop_by_hop::remove(&mut head.headers);
        content_length::set(&mut head.headers, length);
        Ok(Response::from_parts(head, body))
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let permits = Arc::clone(&self.0.permits);
        permits.try_acquire_owned().map_err(|_| Failure::Limited)
    }
}

impl ExchangeOutcome {
    /// Takes the response that is for one request only. Returns `None` if another request has taken it.
    pub(super) fn take(single: &Mutex<Option<Response<WasiBody>>>) -> Option<Response<WasiBody>> {
        single.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether the connection on which a request failed has carried a response before.
fn had_answered(error: &hyper_util::client::legacy::Error) -> bool {
    let mut extensions = http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extensions);
    }
    extensions.get::<Answered>().is_some_and(Answered::is_noted)
}

/// The statuses in place of which a stale response may be used (RFC 5861, section 4).
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

fn passed_on(
    response: Response<Incoming>,
    begun: Bytes,
    deadline: Instant,
    permit: OwnedSemaphorePermit,
) -> Response<WasiBody> {
    response.map(|rest| Bounded::new(begun, rest, deadline, permit).boxed_unsync())
}
