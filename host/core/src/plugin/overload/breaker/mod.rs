//! The circuit breaker of a plugin that keeps failing. What a plugin fails at may be the data of one person, so that the
//! credentials are stopped whose calls fail, and nobody else: whatever one person does, others are called, if few at once.
//!
//! Those for whom a call has succeeded lately are *known*. They don't even share the few calls that a failing client leaves, or
//! a plugin that seems to be broken for all, until calls of several known people have failed as well.

mod circuit;
mod ended;
mod everybody;
mod suspect;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use self::circuit::Circuit;
use self::everybody::Admitted;
use self::everybody::Everybody;
use self::suspect::FailingClient;
use super::super::meters::BreakerMeters;
use super::super::meters::Meters;
use super::client::Client;
use super::sender::Credentials;
use super::sender::Sender;
use crate::lazy_cache::LazyCache;
use crate::role::PluginName;

pub(crate) use self::ended::Ended;
pub(crate) use self::ended::Fault;

/// The most clients and credentials that are remembered, and for how long after the last failure or the first success.
const MAX_REMEMBERED: u64 = 65_536;
const REMEMBERED: Duration = Duration::from_secs(600);

/// What part of a plugin's concurrent calls are a few.
const PART: usize = 8;

/// A few of so many calls at once.
fn few_of(concurrency: usize) -> usize {
    (concurrency / PART).clamp(1, Semaphore::MAX_PERMITS)
}

/// The circuit breaker of one plugin.
#[derive(Debug)]
pub(super) struct Breaker {
    name: PluginName,
    threshold: u32,
    concurrency: usize,
    /// Credentials with failures since their last successful call.
    failing: LazyCache<Credentials, Arc<Mutex<Circuit>>>,
    /// Clients with failures since their last successful call, whatever the credentials.
    failing_clients: LazyCache<Client, Arc<FailingClient>>,
    /// Credentials with a successful call and no failure since.
    known: LazyCache<Credentials, ()>,
    everybody: Mutex<Everybody>,
    /// Whether `everybody` has any state, so that most calls don't have to lock it.
    trouble: AtomicBool,
    meters: BreakerMeters,
    is_retired: AtomicBool,
}

/// Why a call isn't admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stopped {
    /// A circuit is open for this long.
    Open(Duration),
    /// Calls for its client or for all kept failing, and as many run as may.
    Few,
}

/// A call that was admitted, and for which circuits it is the trial.
#[derive(Debug)]
pub(super) struct Trial {
    sender: Sender,
    own: Option<Arc<Mutex<Circuit>>>,
    own_try: bool,
    all: Admitted,
    /// Its place among those of a suspect client.
    #[cfg_attr(not(test), expect(dead_code, reason = "held until the call ends"))]
    place: Option<OwnedSemaphorePermit>,
}

impl Breaker {
    /// A breaker that opens after so many failures, of a plugin that may have so many calls at once.
    pub(super) fn new(name: PluginName, failures: NonZero<u32>, concurrency: usize, meters: &Meters) -> Self {
        Self {
            name,
            threshold: failures.get(),
            concurrency,
            failing: LazyCache::new(|| bounded().time_to_idle(REMEMBERED)),
            failing_clients: LazyCache::new(|| bounded().time_to_idle(REMEMBERED)),
            known: LazyCache::new(|| bounded().time_to_live(REMEMBERED)),
            everybody: Mutex::new(Everybody::new(concurrency)),
            trouble: AtomicBool::new(false),
            meters: meters.breaker(),
            is_retired: AtomicBool::new(false),
        }
    }

    /// Admits a call of a sender.
    pub(super) fn enter(&self, sender: Sender, now: Instant) -> Result<Trial, Stopped> {
        let own = sender
            .credentials
            .and_then(|credentials| self.failing.get(&credentials));
        let own_try = match &own {
            Some(circuit) => lock(circuit).enter(now).map_err(Stopped::Open)?,
            None => false,
        };
        let admitted = self.enter_with_others(sender, now).inspect_err(|_| {
            if let Some(circuit) = own.as_ref().filter(|_| own_try) {
                lock(circuit).untry(now);
            }
        });
        let (place, all) = admitted?;
        Ok(Trial {
            sender,
            own,
            own_try,
            all,
            place,
        })
    }

    /// Admits a call as far as calls of others have failed: at its client, and of all.
    fn enter_with_others(
        &self,
        sender: Sender,
        now: Instant,
    ) -> Result<(Option<OwnedSemaphorePermit>, Admitted), Stopped> {
        let client = sender.client.and_then(|client| self.failing_clients.get(&client));
        let is_in_trouble = self.trouble.load(Ordering::Relaxed);
        if (client.is_none() && !is_in_trouble) || self.is_trusted(sender) {
            return Ok((None, Admitted::default()));
        }
        let place = client.map(|client| client.enter()).transpose()?.flatten();
        let all = match is_in_trouble {
            true => lock(&self.everybody).enter(sender, now)?,
            false => Admitted::default(),
        };
        Ok((place, all))
    }

    fn is_known(&self, sender: Sender) -> bool {
        sender
            .credentials
            .is_some_and(|credentials| self.known.contains(&credentials))
    }

    fn is_trusted(&self, sender: Sender) -> bool {
        let trusts = || !self.trouble.load(Ordering::Relaxed) || lock(&self.everybody).trusts_the_known(self.threshold);
        self.is_known(sender) && trusts()
    }

    /// Leaves the metric to the breaker of the authenticator that replaces this one, which is closed.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.meters.closed();
    }

    /// Counts the result of a call.
    pub(super) fn settle(&self, trial: &Trial, ended: Ended, now: Instant) {
        // The metric is that of another breaker by now.
        if self.is_retired.load(Ordering::Relaxed) {
            return;
        }
        match ended {
            Ended::Answered => self.reset(trial),
            Ended::Failed(fault) => self.fail(trial, fault, now),
            Ended::Undecided => {
                if let Some(circuit) = trial.own.as_ref().filter(|_| trial.own_try) {
                    lock(circuit).untry(now);
                }
                if trial.all.is_trial {
                    lock(&self.everybody).cancel_trial(now);
                }
            }
        }
    }

    fn reset(&self, trial: &Trial) {
        let Sender { client, credentials } = trial.sender;
        if let Some(client) = client.filter(|client| self.failing_clients.contains(client)) {
            self.failing_clients.remove(&client);
        }
        if let Some(credentials) = credentials {
            if trial.own.is_some() {
                self.failing.remove(&credentials);
            }
            if !self.known.contains(&credentials) {
                self.known.open().insert(credentials, ());
            }
        }
        if self.trouble.swap(false, Ordering::Relaxed) {
            let fresh = Everybody::new(self.concurrency);
            let everybody = std::mem::replace(&mut *lock(&self.everybody), fresh);
            if !everybody.is_closed() {
                self.meters.closed();
                tracing::info!(
                    authenticator = self.name.authenticator(),
                    authorizer = self.name.authorizer(),
                    "breaker closed for all clients"
                );
            }
        }
    }

    fn fail(&self, trial: &Trial, fault: Fault, now: Instant) {
        let (sender, was_known) = (trial.sender, self.is_known(trial.sender));
        if let Some(credentials) = sender.credentials.filter(|_| was_known) {
            self.known.remove(&credentials);
        }
        let is_stopped = self.fail_alone(trial, now);
        if !is_stopped && !was_known && fault != Fault::Plugin && !self.trouble.load(Ordering::Relaxed) {
            return;
        }
        let mut everybody = lock(&self.everybody);
        self.trouble.store(true, Ordering::Relaxed);
        let mut opens = everybody.fail(sender, was_known, fault, self.threshold, now);
        opens |= is_stopped && everybody.stop(sender, now);
        let opens_again = trial.all.is_trial && everybody.fail_trial(now);
        drop(everybody);
        if opens || opens_again {
            self.opened_for_all();
        }
    }

    /// Counts a failure for its sender, and returns whether it is stopped from now on.
    fn fail_alone(&self, trial: &Trial, now: Instant) -> bool {
        let Sender { client, credentials } = trial.sender;
        let mut is_stopped = false;
        if let Some(credentials) = credentials {
            let own = self.failing.open().get_with(credentials, Arc::default);
            if let Some(wait) = lock(&own).fail(self.threshold, trial.own_try, now) {
                self.meters.credentials_stopped();
                tracing::warn!(
                    authenticator = self.name.authenticator(),
                    authorizer = self.name.authorizer(),
                    client = client.map(tracing::field::display),
                    seconds = wait.as_secs(),
                    "breaker opened for the credentials of one user, because calls about them kept failing"
                );
                is_stopped = true;
            }
        }
        if let Some(client) = client {
            let failing = || Arc::new(FailingClient::new(self.concurrency));
            let failing = self.failing_clients.open().get_with(client, failing);
            if failing.fail(credentials, self.threshold) {
                self.meters.client_suspected();
                tracing::warn!(
                                   authenticator = self.name.authenticator(),
                authorizer = self.name.authorizer(),
                                   %client,
                                   "calls for one client kept failing, with several credentials or none: few of them may run at once"
                               );
                is_stopped = true;
            }
        }
        is_stopped
    }

    fn opened_for_all(&self) {
        self.meters.all_stopped();
        tracing::warn!(
            authenticator = self.name.authenticator(),
            authorizer = self.name.authorizer(),
            "breaker opened for all clients, because the calls of several kept failing and none succeeded: few may run at once"
        );
    }
}

fn bounded<K, V>() -> moka::sync::CacheBuilder<K, V, moka::sync::Cache<K, V>>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    moka::sync::Cache::builder().max_capacity(MAX_REMEMBERED)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
