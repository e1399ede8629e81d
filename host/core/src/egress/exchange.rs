//! One exchange with a server, within its bounds. It needs one of the authenticator's permits, for which it doesn't wait, and
//! holds the permit until the response is complete.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio::time::timeout_at;
use wasmtime_wasi_http::WasiBody;

use super::Egress;
use super::answer::Answer;
use super::answer::strip_hop_by_hop;
use super::body::Beginning;
use super::body::Bounded;
use super::body::beginning;
use super::counters::Ending;
use super::failure::Failure;
use super::key::Key;
use super::pool::MAX_HEAD;
use super::store::MAX_BODY;
use super::stored::Stored;
use super::stored::Use;

/// The outcome of an exchange, for all requests that wait for it.
pub(super) enum Landed {
    /// A response for all of them.
    Answer(Answer, Ending),
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
        patience: Duration,
    ) -> Result<Response<WasiBody>, Failure> {
        let place = self.place()?;
        let now = Instant::now();
        let deadline = now + self.0.exchange;
        let response = timeout_at(deadline.min(now + patience), self.ask(request)).await;
        let response = response.map_err(|_| Failure::Timeout)??;
        Ok(passed_on(response, Bytes::new(), deadline, place))
    }

    /// Sends a request whose response may be stored, and stores it.
    pub(super) async fn fetch(self, request: Request<Full<Bytes>>, key: Key) -> Landed {
        let stored = self.0.store.get(&key);
        let mut sent = request.clone();
        match stored
            .as_ref()
            .map(|stored| stored.satisfies(&request, self.0.outbound.refresh_floor))
        {
            // Another exchange has stored a response in the meantime.
            Some(Use::Fresh(answer)) => return Landed::Answer(answer, Ending::Hit),
            Some(Use::Stale(answer)) => return Landed::Answer(answer, Ending::Stale),
            Some(Use::Validate(validators)) => sent.headers_mut().extend(validators),
            None => {}
        }
        let landed = match self.place() {
            Ok(place) => self.read(sent, place).await.unwrap_or_else(Landed::Failure),
            Err(failure) => return Landed::Failure(failure),
        };
        let failed = match &landed {
            Landed::Failure(failure) => failure.is_the_servers(),
            Landed::Answer(answer, _) => is_failure(answer.status),
            Landed::Single(_) => false,
        };
        let instead = stored
            .as_ref()
            .filter(|_| failed)
            .and_then(|stored| stored.instead(&request));
        if let Some(answer) = instead {
            return Landed::Answer(answer, Ending::Stale);
        }
        match (landed, stored) {
            (Landed::Answer(answer, _), Some(stored)) if answer.status == StatusCode::NOT_MODIFIED => {
                self.0.store.remove(&key);
                match stored.confirmed(&answer.headers) {
                    Some(answer) => self.keep(&request, key, answer, Ending::Revalidated),
                    None => Landed::Failure(Failure::Terminated),
                }
            }
            (Landed::Answer(answer, ending), _) if !failed => {
                self.0.store.remove(&key);
                self.keep(&request, key, answer, ending)
            }
            (Landed::Single(single), _) => {
                self.0.store.remove(&key);
                Landed::Single(single)
            }
            (landed, _) => landed,
        }
    }

    fn keep(&self, request: &Request<Full<Bytes>>, key: Key, answer: Answer, ending: Ending) -> Landed {
        if let Some(stored) = Stored::new(request, answer.clone()) {
            self.0.store.put(key, stored);
        }
        Landed::Answer(answer, ending)
    }

    async fn read(&self, request: Request<Full<Bytes>>, place: OwnedSemaphorePermit) -> Result<Landed, Failure> {
        let deadline = Instant::now() + self.0.exchange;
        let exchange = async {
            let mut response = self.ask(request).await?;
            if response.headers().contains_key(header::SET_COOKIE) {
                return Ok((response, Beginning::Part(Bytes::new())));
            }
            let beginning = beginning(response.body_mut(), MAX_BODY).await;
            Ok((response, beginning.map_err(|_| Failure::Terminated)?))
        };
        let (response, beginning) = timeout_at(deadline, exchange).await.map_err(|_| Failure::Timeout)??;
        Ok(match beginning {
            Beginning::Whole(body) => {
                let (head, _) = response.into_parts();
                let (status, headers) = (head.status, head.headers);
                Landed::Answer(Answer { status, headers, body }, Ending::Sent)
            }
            Beginning::Part(begun) => {
                let response = passed_on(response, begun, deadline, place);
                Landed::Single(Mutex::new(Some(response)))
            }
        })
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let mut response = self
            .0
            .pool
            .request(request)
            .await
            .map_err(|error| Failure::of(&error))?;
        let head: usize = response
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if head > MAX_HEAD {
            return Err(Failure::Head);
        }
        strip_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let places = Arc::clone(&self.0.places);
        places.try_acquire_owned().map_err(|_| Failure::Limited)
    }
}

impl Landed {
    /// Takes the response that is for one request only. Returns `None` if another request has taken it.
    pub(super) fn take(single: &Mutex<Option<Response<WasiBody>>>) -> Option<Response<WasiBody>> {
        single.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The statuses in place of which a stale response may be used (RFC 5861, section 4).
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

fn passed_on(
    response: Response<Incoming>,
    begun: Bytes,
    deadline: Instant,
    place: OwnedSemaphorePermit,
) -> Response<WasiBody> {
    response.map(|rest| Bounded::new(begun, rest, deadline, place).boxed_unsync())
}
