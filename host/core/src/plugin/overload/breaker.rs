//! The circuit breaker of a plugin that keeps failing. It opens for a single client first, because one client may send
//! requests that make a plugin fail; after it has opened for several clients without a successful call in between, it
//! opens for all.

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use super::super::meters::BreakerMeters;
use super::super::meters::Meters;
use super::circuit::Circuit;
use super::client::Client;
use crate::lazy_cache::LazyCache;

/// After how many stopped clients the breaker opens for all.
const CLIENTS: usize = 3;

/// The most clients whose failures are remembered, and for how long after the last one.
const MAX_CLIENTS: u64 = 65_536;
const REMEMBERED: Duration = Duration::from_secs(600);

/// The circuit breaker of one authenticator.
#[derive(Debug)]
pub(super) struct Breaker {
    authenticator: Arc<str>,
    threshold: u32,
    /// Clients with failures since their last successful call.
    clients: LazyCache<Client, Arc<Mutex<Circuit>>>,
    all: Mutex<All>,
    /// Whether `all` has any state, so that most calls don't have to lock it.
    trouble: AtomicBool,
    meters: BreakerMeters,
    is_retired: AtomicBool,
}

#[derive(Debug, Default)]
struct All {
    stopped: HashSet<Client>,
    circuit: Circuit,
}

/// A call that was admitted, and for which circuits it is the trial.
#[derive(Debug)]
pub(super) struct Trial {
    client: Client,
    own: Option<Arc<Mutex<Circuit>>>,
    own_try: bool,
    all_try: bool,
}

impl Breaker {
    pub(super) fn new(authenticator: Arc<str>, failures: NonZero<u32>, meters: &Meters) -> Self {
        Self {
            authenticator,
            threshold: failures.get(),
            clients: LazyCache::new(|| {
                moka::sync::Cache::builder()
                    .max_capacity(MAX_CLIENTS)
                    .time_to_idle(REMEMBERED)
            }),
            all: Mutex::default(),
            trouble: AtomicBool::new(false),
            meters: meters.breaker(),
            is_retired: AtomicBool::new(false),
        }
    }

    /// Admits a call for a client. The error is how long to wait.
    pub(super) fn enter(&self, client: Client, now: Instant) -> Result<Trial, Duration> {
        let own = self.clients.get(&client);
        let own_try = match &own {
            Some(circuit) => lock(circuit).enter(now)?,
            None => false,
        };
        let all_try = if self.trouble.load(Ordering::Relaxed) {
            lock(&self.all).circuit.enter(now).inspect_err(|_| {
                if let Some(circuit) = own.as_ref().filter(|_| own_try) {
                    lock(circuit).untry(now);
                }
            })?
        } else {
            false
        };
        Ok(Trial {
            client,
            own,
            own_try,
            all_try,
        })
    }

    /// Leaves the metric to the breaker of the authenticator that replaces this one, which is closed.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.meters.closed();
    }

    /// Counts the result of a call.
    pub(super) fn settle(&self, trial: Trial, good: bool, now: Instant) {
        // The metric is that of another breaker by now.
        if self.is_retired.load(Ordering::Relaxed) {
            return;
        }
        if good {
            self.reset(&trial);
        } else {
            self.fail(&trial, now);
        }
    }

    fn reset(&self, trial: &Trial) {
        if trial.own.is_some() {
            self.clients.remove(&trial.client);
        }
        if self.trouble.swap(false, Ordering::Relaxed) {
            let all = std::mem::take(&mut *lock(&self.all));
            if !all.circuit.is_closed() {
                self.meters.closed();
                tracing::info!(authenticator = &*self.authenticator, "breaker closed for all clients");
            }
        }
    }

    fn fail(&self, trial: &Trial, now: Instant) {
        let own = self.clients.open().get_with(trial.client, Arc::default);
        if let Some(wait) = lock(&own).fail(self.threshold, trial.own_try, now) {
            self.meters.client_stopped();
            tracing::warn!(
                authenticator = &*self.authenticator,
                client = %trial.client,
                seconds = wait.as_secs(),
                "breaker opened for one client, because its calls kept failing"
            );
            self.stop(trial.client, now);
        }
        if trial.all_try {
            let wait = lock(&self.all).circuit.fail(0, true, now);
            self.opened_for_all(wait);
        }
    }

    fn stop(&self, client: Client, now: Instant) {
        let mut all = lock(&self.all);
        self.trouble.store(true, Ordering::Relaxed);
        if all.stopped.len() < CLIENTS {
            all.stopped.insert(client);
        }
        if all.circuit.is_closed() && all.stopped.len() == CLIENTS {
            let wait = all.circuit.open(now);
            drop(all);
            self.opened_for_all(Some(wait));
        }
    }

    fn opened_for_all(&self, wait: Option<Duration>) {
        let Some(wait) = wait else { return };
        self.meters.all_stopped();
        tracing::warn!(
            authenticator = &*self.authenticator,
            seconds = wait.as_secs(),
            "breaker opened for all clients, because the calls of several kept failing and none succeeded"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: u32 = 3;

    fn breaker() -> Breaker {
        let name: Arc<str> = "a".into();
        let meters = Meters::new(&name);
        Breaker::new(name, NonZero::new(THRESHOLD).unwrap(), &meters)
    }

    fn client(last: u8) -> Client {
        Client::of([192, 0, 2, last].into())
    }

    fn call(breaker: &Breaker, last: u8, good: bool, now: Instant) -> bool {
        match breaker.enter(client(last), now) {
            Ok(trial) => {
                breaker.settle(trial, good, now);
                true
            }
            Err(_) => false,
        }
    }

    fn stop(breaker: &Breaker, last: u8, now: Instant) {
        for _ in 0..THRESHOLD {
            assert!(call(breaker, last, false, now));
        }
        assert!(!call(breaker, last, true, now), "client {last} is stopped");
    }

    #[test]
    fn a_client_whose_calls_fail_is_stopped_alone() {
        let (breaker, now) = (breaker(), Instant::now());
        stop(&breaker, 1, now);
        assert!(call(&breaker, 2, true, now));
        let later = now + Duration::from_secs(2);
        assert!(call(&breaker, 1, true, later), "a successful trial");
        assert!(call(&breaker, 1, false, later), "closes its circuit");
        assert!(call(&breaker, 1, true, later));
    }

    #[test]
    fn a_success_in_between_resets_the_count() {
        let (breaker, now) = (breaker(), Instant::now());
        for good in [false, false, true, false, false, true, false] {
            assert!(call(&breaker, 1, good, now));
        }
    }

    #[test]
    fn all_clients_are_stopped_after_several_without_a_success() {
        let (breaker, now) = (breaker(), Instant::now());
        stop(&breaker, 1, now);
        stop(&breaker, 2, now);
        assert!(call(&breaker, 9, true, now), "a success in between");
        stop(&breaker, 3, now);
        assert!(call(&breaker, 9, false, now));
        stop(&breaker, 4, now);
        for last in [5, 6] {
            for _ in 0..THRESHOLD {
                call(&breaker, last, false, now);
            }
        }
        assert!(!call(&breaker, 9, true, now));

        let later = now + Duration::from_secs(2);
        let tried = breaker.enter(client(9), later).unwrap();
        assert!(breaker.enter(client(8), later).is_err(), "one trial at a time");
        breaker.settle(tried, false, later);
        assert!(
            breaker.enter(client(8), later + Duration::from_secs(1)).is_err(),
            "for longer"
        );
        assert!(call(&breaker, 8, true, later + Duration::from_secs(3)));
        assert!(
            call(&breaker, 7, true, later + Duration::from_secs(3)),
            "a successful trial closes it for all"
        );
    }

    #[test]
    fn a_client_whose_trial_the_breaker_for_all_prevents_is_tried_later() {
        let (breaker, start) = (breaker(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        for last in [1, 2, 3] {
            for _ in 0..THRESHOLD {
                assert!(call(&breaker, last, false, start));
            }
        }
        // The trial for all fails, so that all are stopped until the fourth second.
        assert!(call(&breaker, 9, false, after(2)));
        assert!(
            !call(&breaker, 1, true, after(3)),
            "its own wait is over, that for all isn't"
        );
        assert!(call(&breaker, 1, true, after(4)));
    }

    #[test]
    fn calls_that_began_before_the_breaker_opened_dont_keep_it_open() {
        let (breaker, now) = (breaker(), Instant::now());
        let late = [4, 5].map(|last| [(); THRESHOLD as usize].map(|()| breaker.enter(client(last), now).unwrap()));
        for last in [1, 2] {
            stop(&breaker, last, now);
        }
        for _ in 0..THRESHOLD {
            call(&breaker, 3, false, now);
        }
        for trial in late.into_iter().flatten() {
            breaker.settle(trial, false, now);
        }
        assert_eq!(breaker.enter(client(9), now).unwrap_err(), Duration::from_secs(1));
    }

    #[test]
    fn the_last_calls_of_a_replaced_authenticator_open_nothing() {
        let (breaker, now) = (breaker(), Instant::now());
        breaker.retire();
        for _ in 0..2 * THRESHOLD {
            assert!(call(&breaker, 1, false, now));
        }
    }
}
