//! Plays the servers of a file, and remembers what they were asked.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Uri;
use portcullis::Outbound;
use portcullis::PlayedAnswer;
use portcullis::PlayedServers;

use crate::cases::servers::Origin;
use crate::cases::servers::PlayedResponse;
use crate::cases::servers::PlayedServer;

/// The servers of one case.
#[derive(Debug)]
pub struct Play {
    servers: Vec<(Origin, Vec<Line>)>,
    calls: Mutex<Vec<Call>>,
}

/// A response, and how many requests have got it.
#[derive(Debug)]
struct Line {
    response: Arc<PlayedResponse>,
    used: AtomicU32,
}

/// A request to one of the servers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The request, with its whole body.
    pub request: Request<Bytes>,
    /// Whether the file has a response for it.
    pub has_response: bool,
}

impl Play {
    /// Plays these servers. `None` if there are none, so that requests go over the network.
    pub fn of<'s>(servers: impl IntoIterator<Item = &'s PlayedServer>) -> Option<Arc<Self>> {
        let line = |response: &Arc<PlayedResponse>| Line {
            response: Arc::clone(response),
            used: AtomicU32::new(0),
        };
        let servers = servers.into_iter();
        let servers = servers.map(|server| (server.origin.clone(), server.responses.iter().map(line).collect()));
        let servers = Vec::from_iter(servers);
        let calls = Mutex::default();
        (!servers.is_empty()).then(|| Arc::new(Self { servers, calls }))
    }

    /// Lets requests of an authenticator go to the servers that are played, if there are any.
    pub fn applied(play: Option<&Arc<Self>>, outbound: &Outbound) -> Outbound {
        let outbound = outbound.clone();
        match play {
            Some(play) => outbound.servers(Arc::<Self>::clone(play)),
            None => outbound,
        }
    }

    /// What the servers were asked since this was called last.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls())
    }

    /// The response to a request. It is used up once more.
    fn response(&self, request: &Request<Bytes>) -> Option<&PlayedResponse> {
        let origin = Origin::of(request.uri())?;
        let servers = self.servers.iter().filter(|(known, _)| *known == origin);
        let mut lines = servers.flat_map(|(_, lines)| lines);
        let found = lines.find(|line| line.response.is_for(request.method(), request.uri()) && line.is_left())?;
        Some(&*found.response)
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Takes one of the uses that are left.
    fn is_left(&self) -> bool {
        let Some(times) = self.response.times else { return true };
        let take = |used: u32| (used < times.get()).then_some(used + 1);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

impl PlayedServers for Play {
    fn plays(&self, server: &Uri) -> bool {
        let origin = Origin::of(server);
        self.servers.iter().any(|(known, _)| Some(known) == origin.as_ref())
    }

    fn answer(&self, request: Request<Bytes>) -> PlayedAnswer<'_> {
        let response = self.response(&request);
        self.calls().push(Call {
            request,
            has_response: response.is_some(),
        });
        Box::pin(async move {
            let Some(response) = response else {
                let mut missing = Response::new(Bytes::new());
                *missing.status_mut() = StatusCode::NOT_FOUND;
                return Some(missing);
            };
            if !response.delay.is_zero() {
                tokio::time::sleep(response.delay).await;
            }
            response.answer.clone()
        })
    }
}
