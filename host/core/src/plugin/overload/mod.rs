//! Protects a plugin from overload, with a rate limit for each client, a circuit breaker for each client and for all,
//! and a limit on concurrent calls. A call beyond a limit is refused immediately; there is no queue.

mod breaker;
mod circuit;
mod client;
mod rates;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use self::breaker::Breaker;
use self::breaker::Trial;
use self::client::Client;
use self::rates::Rates;
use super::meters::Meters;
use crate::limits::Limits;
use crate::limits::Rate;

/// The `Retry-After` of a call beyond the limit on concurrency. Most calls end much sooner.
const BUSY: Duration = Duration::from_secs(1);

/// The limits of one plugin, with their current state.
#[derive(Debug)]
pub(crate) struct Overload {
    rates: Option<Rates>,
    breaker: Option<Breaker>,
    calls: Arc<Semaphore>,
    engine_calls: Arc<Semaphore>,
}

/// Why a call is refused, and how long to wait before the next try.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TurnedAway {
    /// The limit on concurrent calls is reached.
    #[error("too many calls at once (limits.concurrency)")]
    Busy,
    /// The client exceeds its rate limit.
    #[error("its client asks more often than limits.rate, {limit}, allows")]
    Rate {
        /// How long to wait.
        wait: Duration,
        /// The rate limit.
        limit: Rate,
    },
    /// The circuit breaker is open.
    #[error("its breaker is open, because calls kept failing (limits.breaker)")]
    Breaker(Duration),
}

impl TurnedAway {
    /// How long to wait before the next try.
    pub(crate) const fn retry_after(self) -> Duration {
        match self {
            Self::Busy => BUSY,
            Self::Rate { wait, .. } | Self::Breaker(wait) => wait,
        }
    }
}

impl Overload {
    pub(crate) fn new(
        authenticator: &Arc<str>,
        limits: &Limits,
        engine_calls: &Arc<Semaphore>,
        meters: &Meters,
    ) -> Self {
        Self {
            rates: limits.rate.map(Rates::new),
            breaker: limits
                .breaker
                .map(|failures| Breaker::new(Arc::clone(authenticator), failures, meters)),
            calls: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            engine_calls: Arc::clone(engine_calls),
        }
    }

    /// Admits a call for the client with this address.
    pub(crate) fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<CallPermit, TurnedAway> {
        let client = client.map(Client::of);
        if let Some(rates) = &self.rates {
            rates.check(client).map_err(|wait| TurnedAway::Rate {
                wait,
                limit: rates.limit,
            })?;
        }
        let permits = self.permits().ok_or(TurnedAway::Busy)?;
        // Without an address, one client's failures would stop all others.
        let trial = match (&self.breaker, client) {
            (Some(breaker), Some(client)) => Some(breaker.enter(client, Instant::now()).map_err(TurnedAway::Breaker)?),
            _ => None,
        };
        Ok(CallPermit {
            overload: Arc::clone(self),
            trial,
            _permits: permits,
        })
    }

    fn permits(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = Arc::clone(&self.calls).try_acquire_owned().ok()?;
        Some([own, Arc::clone(&self.engine_calls).try_acquire_owned().ok()?])
    }
}

/// A call that was admitted. It counts as running until this is dropped.
#[derive(Debug)]
pub(crate) struct CallPermit {
    overload: Arc<Overload>,
    trial: Option<Trial>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl CallPermit {
    /// Reports that the plugin answered.
    pub(crate) fn answered(mut self) {
        self.settle(true);
    }

    /// Reports that the plugin failed.
    pub(crate) fn failed(mut self) {
        self.settle(false);
    }

    fn settle(&mut self, good: bool) {
        if let (Some(breaker), Some(trial)) = (&self.overload.breaker, self.trial.take()) {
            breaker.settle(trial, good, Instant::now());
        }
    }
}

impl Drop for CallPermit {
    /// A call without a report counts as failed. Otherwise a circuit breaker could wait for its trial for ever.
    fn drop(&mut self) {
        self.settle(false);
    }
}
