//! How a connection gets on: whether a request is under way, whether the client takes what it is sent. Whatever stands
//! still has a time when it is cut off.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use portcullis_wire::framing::ConnectionState;
use portcullis_wire::framing::Reading;
use portcullis_wire::peer::Peer;
use tokio::time::Instant;
use tokio::time::Sleep;

use super::fault;
use crate::config::Bounds;

/// What a connection does, as seen by its stream and its requests.
#[derive(Debug)]
pub(super) struct Pace {
    client: Peer,
    begun: Instant,
    requests: AtomicUsize,
    idle: Moment,
    blocked: Moment,
    lingering: Moment,
}

impl Pace {
    pub(super) fn new(client: Peer) -> Self {
        Self {
            client,
            begun: Instant::now(),
            requests: AtomicUsize::new(0),
            idle: Moment::default(),
            blocked: Moment::default(),
            lingering: Moment::default(),
        }
    }

    /// A request is under way until this is dropped.
    pub(super) fn request(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Whether a request ever came.
    pub(super) fn has_heard(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0 || self.idle.get(self.begun).is_some()
    }

    /// The client takes nothing now.
    pub(super) fn is_blocked(&self) {
        self.blocked.begin(self.begun);
    }

    /// The client took something.
    pub(super) fn moves(&self) {
        self.blocked.end();
    }

    /// The last answer is sent, and what the client still sends is only waited for.
    pub(super) fn lingers(&self) {
        self.lingering.begin(self.begun);
    }
}

/// A request that isn't answered wholly yet.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Pace>);

impl UnderWay {
    /// Whose it is.
    pub(super) fn client(&self) -> Peer {
        self.0.client
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Whoever sees the last request gone must see since when.
        self.0.idle.end();
        self.0.idle.begin(self.0.begun);
        self.0.requests.fetch_sub(1, Ordering::Release);
    }
}

/// A time in milliseconds after the connection's beginning, plus one; 0: none.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Moment {
    /// Sets it to now, unless it is set.
    fn begin(&self, begun: Instant) {
        if self.0.load(Ordering::Relaxed) == 0 {
            let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.0.store(elapsed.saturating_add(1), Ordering::Relaxed);
        }
    }

    fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn get(&self, begun: Instant) -> Option<Instant> {
        let elapsed = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        begun.checked_add(Duration::from_millis(elapsed))
    }
}

/// What took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Late {
    /// A farewell: the client was told that the connection ends.
    Closing,
    /// The head of a request.
    Head,
    /// The next request.
    Idle,
    /// The client's taking of what it is sent.
    Send,
    /// Anything at all from a client that never sent a request.
    Silent,
}

impl Late {
    /// Notes that a client was cut off.
    pub(super) fn note(self, client: Peer) {
        match self {
            Self::Head => fault::cut("header_timeout", client),
            Self::Send => fault::cut("send_timeout", client),
            // Many a connection is made for nothing: by browsers ahead of time, by probes of a load balancer.
            Self::Silent => tracing::debug!(%client, "a client sent no request"),
            Self::Closing | Self::Idle => tracing::debug!(%client, "a connection was cut off at its end"),
        }
    }
}

/// Waits for a connection to be late.
#[derive(Debug)]
pub(super) struct Watch {
    pace: Arc<Pace>,
    seen: Arc<ConnectionState>,
    bounds: Bounds,
    header_timeout: Duration,
    /// Since when the head of a request is being read.
    head: Option<Instant>,
    /// When the client was told that the connection ends.
    closing: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    pub(super) fn new(pace: Arc<Pace>, seen: Arc<ConnectionState>, bounds: Bounds, header_timeout: Duration) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(pace.begun + header_timeout));
        Self {
            pace,
            seen,
            bounds,
            header_timeout,
            head: None,
            closing: None,
            sleep,
        }
    }

    /// From now on the connection has only a little time left.
    pub(super) fn closes(&mut self) {
        self.closing = Some(Instant::now());
    }

    /// Waits for something to be late. To be polled whenever the connection was, because nobody else wakes it when a
    /// deadline changes.
    pub(super) async fn late(&mut self) -> Late {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Late> {
        loop {
            let Some((deadline, what)) = self.next() else {
                return Poll::Pending;
            };
            if deadline < self.sleep.deadline() {
                self.sleep.as_mut().reset(deadline);
            }
            // To wake too early and look costs less than to set the timer anew with every byte.
            ready!(self.sleep.as_mut().poll(context));
            if deadline <= Instant::now() {
                return Poll::Ready(what);
            }
            self.sleep.as_mut().reset(deadline);
        }
    }

    /// What is late next, and when.
    fn next(&mut self) -> Option<(Instant, Late)> {
        let begun = self.pace.begun;
        let send = self.pace.blocked.get(begun);
        let send = send.map(|since| (since + self.bounds.send_timeout, Late::Send));
        let under_way = self.pace.requests.load(Ordering::Acquire) > 0;
        let idle = self.pace.idle.get(begun).filter(|_| !under_way);
        // A request that came before its client had read the farewell is answered all the same.
        let closing = self.closing.filter(|_| !under_way).max(self.closing.and(idle));
        let closing = closing.or_else(|| self.pace.lingering.get(begun));
        let closing = closing.map(|since| (since + FAREWELL, Late::Closing));
        let reading = self.seen.reading();
        self.head = match self.head {
            _ if under_way || reading != Reading::Head => None,
            None => Some(Instant::now()),
            since => since,
        };
        let idle = (!under_way && closing.is_none()).then(|| match (self.head, idle) {
            (Some(_), None) => (begun + self.header_timeout, Late::Head),
            (Some(since), Some(_)) => (since + self.header_timeout, Late::Head),
            (None, None) => (begun + self.header_timeout, Late::Silent),
            (None, Some(since)) => (since + self.bounds.keepalive_timeout, Late::Idle),
        });
        [send, closing, idle]
            .into_iter()
            .flatten()
            .min_by_key(|(deadline, _)| *deadline)
    }
}

/// How long a connection may take to end once that is settled.
const FAREWELL: Duration = Duration::from_secs(5);
