//! The rate limit for each client, by the generic cell rate algorithm of `governor`. There is one cell for each client
//! that was seen recently. If the engine shares state, each process counts by itself, and soon adds to a client's account what all have
//! counted: no request waits for that.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::clock::DefaultClock;
use governor::nanos::Nanos;
use governor::state::InMemoryState;
use governor::state::NotKeyed;
use governor::state::StateStore;

use super::client::Client;
use crate::lazy_cache::LazyCache;
use crate::limits::Rate;
use crate::shared::Operation;
use crate::shared::Patience;
use crate::shared::SharedPlace;
use crate::shared::SharedState;

/// The most clients that are remembered. In a flood from more addresses, they replace each other.
const MAX_CLIENTS: u64 = 65_536;

/// How long calls are counted before the store is told.
const TOLD_AFTER: Duration = Duration::from_millis(100);

/// How many clients' accounts the store is told of at the same time.
const TOLD_AT_ONCE: usize = 64;

/// The cells of all clients. Those without a known address share one.
#[derive(Clone)]
pub(super) struct Rates(Arc<Inner>);

struct Inner {
    limit: Rate,
    quota: Option<Quota>,
    clock: DefaultClock,
    cells: LazyCache<Option<Client>, Arc<Cell>>,
    shared: SharedPlace,
    /// Tells its accounts from those of other plugins.
    namespace: String,
    /// The cells with calls that the store wasn't told of.
    untold: Mutex<Vec<(Option<Client>, Arc<Cell>)>>,
}

/// The state of one client.
struct Cell {
    limiter: RateLimiter<NotKeyed, State, DefaultClock>,
    state: State,
    started: <DefaultClock as Clock>::Instant,
    /// How many calls were counted of which the store wasn't told.
    untold: AtomicU32,
}

/// The theoretical arrival time of a cell, which its limiter and the store's answers move.
#[derive(Clone, Default)]
struct State(Arc<InMemoryState>);

impl StateStore for State {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl Rates {
    /// Another process has the same accounts if its engine shares the state and its namespace is the same.
    pub(super) fn new(rate: Rate, shared: SharedPlace, namespace: &str) -> Self {
        Self(Arc::new(Inner {
            limit: rate,
            quota: quota(rate),
            clock: DefaultClock::default(),
            // A cell that was not used for this long is full again, like a new one.
            cells: LazyCache::new(move || {
                moka::sync::Cache::builder()
                    .max_capacity(MAX_CLIENTS)
                    .time_to_idle(rate.per)
            }),
            shared,
            namespace: format!("rate {} {namespace}", rate),
            untold: Mutex::default(),
        }))
    }

    /// The limit.
    pub(super) fn limit(&self) -> Rate {
        self.0.limit
    }

    /// Counts a call of a client. The error is the time until the next call is allowed.
    pub(super) fn check(&self, client: Option<Client>) -> Result<(), Duration> {
        let Some(quota) = self.0.quota else { return Ok(()) };
        let clock = &self.0.clock;
        let cell = self
            .0
            .cells
            .open()
            .get_with(client, || Arc::new(Cell::new(quota, clock)));
        cell.limiter
            .check()
            .map_err(|early| early.wait_time_from(clock.now()))?;
        if let Some(shared) = self.0.shared.of_rates() {
            self.tell_later(client, cell, shared);
        }
        Ok(())
    }

    fn tell_later(&self, client: Option<Client>, cell: Arc<Cell>, shared: Arc<SharedState>) {
        if cell.untold.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let mut untold = self.0.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = untold.is_empty();
        untold.push((client, cell));
        drop(untold);
        if is_first {
            let this = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(TOLD_AFTER).await;
                this.tell(&shared).await;
            });
        }
    }

    async fn tell(&self, shared: &SharedState) {
        let untold = std::mem::take(&mut *self.0.untold.lock().unwrap_or_else(PoisonError::into_inner));
        let told = untold
            .into_iter()
            .map(|(client, cell)| self.tell_of(client, cell, shared));
        stream::iter(told).for_each_concurrent(TOLD_AT_ONCE, |told| told).await;
    }

    async fn tell_of(&self, client: Option<Client>, cell: Arc<Cell>, shared: &SharedState) {
        let one = self.0.limit.per / self.0.limit.calls.get();
        let counted = one * cell.untold.swap(0, Ordering::Relaxed);
        let name = match client {
            Some(client) => format!("{} {client}", self.0.namespace),
            None => format!("{} unknown", self.0.namespace),
        };
        let patience = &mut Patience::default();
        let ahead = shared.ask(Operation::Charge, patience, |store| store.charge(name, counted));
        if let Some(ahead) = ahead.await {
            cell.move_to(ahead + one * cell.untold.load(Ordering::Relaxed), &self.0.clock);
        }
    }
}

impl Cell {
    fn new(quota: Quota, clock: &DefaultClock) -> Self {
        let state = State::default();
        Self {
            started: clock.now(),
            limiter: RateLimiter::new(quota, state.clone(), clock.clone()),
            state,
            untold: AtomicU32::new(0),
        }
    }

    /// Moves the theoretical arrival time this far ahead of now, unless it is there already.
    fn move_to(&self, ahead: Duration, clock: &DefaultClock) {
        let now = clock.now().duration_since(self.started);
        let then = Nanos::from(nanos(now).saturating_add(nanos(ahead)));
        let moved = |before: Option<Nanos>| Ok::<_, ()>(((), before.map_or(then, |before| before.max(then))));
        let _ = self.state.measure_and_replace(&NotKeyed::NonKey, moved);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn quota(rate: Rate) -> Option<Quota> {
    let one = rate.per / rate.calls.get();
    Quota::with_period(one.max(Duration::from_nanos(1))).map(|quota| quota.allow_burst(rate.calls))
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates")
            .field("quota", &self.0.quota)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_rate() {
        let rates = Rates::new("2/h".parse().unwrap(), SharedPlace::default(), "p");
        let client = |last| Some(Client::of([192, 0, 2, last].into()));
        for (last, allowed) in [
            (1, true),
            (1, true),
            (1, false),
            (2, true),
            (1, false),
            (2, true),
            (2, false),
        ] {
            assert_eq!(rates.check(client(last)).is_ok(), allowed, "{last}");
        }
        let wait = rates.check(client(1)).unwrap_err();
        assert!(
            (1000..=1800).contains(&wait.as_secs()),
            "half an hour brings the next: {wait:?}"
        );
    }

    #[test]
    fn what_others_have_counted_is_counted_here() {
        let rates = Rates::new("4/h".parse().unwrap(), SharedPlace::default(), "p");
        let quarter = Duration::from_secs(900);
        let allowed = |cell: &Cell| {
            let calls = std::iter::repeat_with(|| cell.limiter.check());
            calls.take(10).take_while(Result::is_ok).count()
        };
        for (calls, left) in [(0, 4), (1, 3), (3, 1), (4, 0), (40, 0)] {
            let cell = Cell::new(rates.0.quota.unwrap(), &rates.0.clock);
            cell.move_to(quarter * calls, &rates.0.clock);
            // What is less than is known already changes nothing.
            cell.move_to(Duration::ZERO, &rates.0.clock);
            assert_eq!(allowed(&cell), left, "{calls}");
        }
    }
}
