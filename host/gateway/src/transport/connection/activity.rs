//! The activity of a connection: whether a request is in progress, and whether the client reads what it is sent. A
//! watchdog enforces the timeouts that follow from it.

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

use super::cork::Cork;
use super::fault;
use crate::config::Bounds;

/// The activity of a connection, recorded by its stream and by its requests.
#[derive(Debug)]
pub(super) struct Activity {
    client: Peer,
    begun: Instant,
    requests: AtomicUsize,
    idle: AtomicInstant,
    blocked: AtomicInstant,
    draining: AtomicInstant,
    cork: Cork,
}

impl Activity {
    pub(super) fn new(client: Peer) -> Self {
        Self {
            client,
            begun: Instant::now(),
            requests: AtomicUsize::new(0),
            idle: AtomicInstant::default(),
            blocked: AtomicInstant::default(),
            draining: AtomicInstant::default(),
            cork: Cork::default(),
        }
    }

    /// What holds writes back while a response is handed over.
    pub(super) fn cork(&self) -> &Cork {
        &self.cork
    }

    /// Records a request, which is active until the returned guard is dropped.
    pub(super) fn request(self: &Arc<Self>) -> ActiveRequest {
        self.requests.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(Arc::clone(self))
    }

    /// Whether the client has sent a request.
    pub(super) fn has_had_request(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0 || self.idle.get(self.begun).is_some()
    }

    /// Records that a write is waiting for the client.
    pub(super) fn write_blocked(&self) {
        self.blocked.begin(self.begun);
    }

    /// Records that a write made progress.
    pub(super) fn write_progressed(&self) {
        self.blocked.end();
    }

    /// Records that the last response is sent, and that only the rest of the client's request is read and dropped.
    pub(super) fn draining_started(&self) {
        self.draining.begin(self.begun);
    }
}

/// A request whose response isn't complete yet.
#[derive(Debug)]
pub(super) struct ActiveRequest(Arc<Activity>);

impl ActiveRequest {
    /// The client that sent the request.
    pub(super) fn client(&self) -> Peer {
        self.0.client
    }

    /// The connection on which the request came.
    pub(super) fn connection(&self) -> Arc<Activity> {
        Arc::clone(&self.0)
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        // A thread that sees no active request must also see since when the connection is idle.
        self.0.idle.end();
        self.0.idle.begin(self.0.begun);
        self.0.requests.fetch_sub(1, Ordering::Release);
    }
}

/// An optional instant, stored as the milliseconds since the connection began plus one. 0 means that there is none.
#[derive(Debug, Default)]
struct AtomicInstant(AtomicU64);

impl AtomicInstant {
    /// Sets the instant to now, unless it is already set.
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

/// A timeout that expired.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Timeout {
    /// The connection was shut down, but the client didn't close it.
    Closing,
    /// A request head wasn't complete in time.
    Header,
    /// The next request didn't begin in time.
    KeepAlive,
    /// The client read nothing of the response.
    Send,
    /// The client never began a request.
    NoRequest,
}

impl Timeout {
    /// Logs the timeout, and counts it if the client exceeded a configured limit.
    pub(super) fn log(self, client: Peer) {
        match self {
            Self::Header => fault::report("header_timeout", client),
            Self::Send => fault::report("send_timeout", client),
            // Browsers connect ahead of time, and load balancers probe the port.
            Self::NoRequest => tracing::debug!(%client, "a client sent no request"),
            Self::Closing | Self::KeepAlive => {
                tracing::debug!(%client, "a connection wasn't closed by its client in time")
            }
        }
    }
}

/// Waits for a timeout of a connection to expire.
#[derive(Debug)]
pub(super) struct Watchdog {
    activity: Arc<Activity>,
    seen: Arc<ConnectionState>,
    bounds: Bounds,
    header_timeout: Duration,
    /// When the request head that is being read began.
    head: Option<Instant>,
    /// When the graceful shutdown of the connection began.
    closing: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(
        activity: Arc<Activity>,
        seen: Arc<ConnectionState>,
        bounds: Bounds,
        header_timeout: Duration,
    ) -> Self {
        let sleep = Box::pin(tokio::time::sleep_until(activity.begun + header_timeout));
        Self {
            activity,
            seen,
            bounds,
            header_timeout,
            head: None,
            closing: None,
            sleep,
        }
    }

    /// Starts the timeout of a graceful shutdown.
    pub(super) fn start_closing(&mut self) {
        self.closing = Some(Instant::now());
    }

    /// Completes when a timeout expires. It must be polled after every poll of the connection, because a deadline that
    /// changes doesn't wake it.
    pub(super) async fn expired(&mut self) -> Timeout {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Timeout> {
        loop {
            let Some((deadline, what)) = self.next() else {
                return Poll::Pending;
            };
            if deadline < self.sleep.deadline() {
                self.sleep.as_mut().reset(deadline);
            }
            // Waking too early is cheaper than resetting the timer with every byte.
            ready!(self.sleep.as_mut().poll(context));
            if deadline <= Instant::now() {
                return Poll::Ready(what);
            }
            self.sleep.as_mut().reset(deadline);
        }
    }

    /// The next deadline, and the timeout that it belongs to.
    fn next(&mut self) -> Option<(Instant, Timeout)> {
        let begun = self.activity.begun;
        let send = self.activity.blocked.get(begun);
        let send = send.map(|since| (since + self.bounds.send_timeout, Timeout::Send));
        let is_active = self.activity.requests.load(Ordering::Acquire) > 0;
        let idle = self.activity.idle.get(begun).filter(|_| !is_active);
        // A request that the client sent before it noticed the shutdown is still answered.
        let closing = self.closing.filter(|_| !is_active).max(self.closing.and(idle));
        let closing = closing.or_else(|| self.activity.draining.get(begun));
        let closing = closing.map(|since| (since + CLOSING_TIMEOUT, Timeout::Closing));
        let reading = self.seen.reading();
        self.head = match self.head {
            _ if is_active || reading != Reading::Head => None,
            None => Some(Instant::now()),
            since => since,
        };
        let idle = (!is_active && closing.is_none()).then(|| match (self.head, idle) {
            (Some(_), None) => (begun + self.header_timeout, Timeout::Header),
            (Some(since), Some(_)) => (since + self.header_timeout, Timeout::Header),
            (None, None) => (begun + self.header_timeout, Timeout::NoRequest),
            (None, Some(since)) => (since + self.bounds.keepalive_timeout, Timeout::KeepAlive),
        });
        [send, closing, idle]
            .into_iter()
            .flatten()
            .min_by_key(|(deadline, _)| *deadline)
    }
}

/// How long a client may take to close the connection after its shutdown.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);
