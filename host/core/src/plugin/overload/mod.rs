//! Protects a plugin from overload, with a rate limit for each client, a circuit breaker for each sender and for all,
//! and limits on concurrent calls and on computing. A call beyond a limit is refused immediately; there is no queue.

mod breaker;
mod client;
mod rates;
mod sender;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use self::breaker::Breaker;
use self::breaker::Stopped;
use self::breaker::Trial;
use self::client::Client;
use self::rates::Rates;
use self::sender::Senders;
use super::meters::Meters;
use crate::decision::Authenticated;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::limits::Rate;
use crate::request::AuthRequest;
use crate::role::PluginName;
use crate::sandbox::Expected;
use crate::sandbox::ProcessorShare;
use crate::shared::SharedPlace;

pub(crate) use self::breaker::Ended;
pub(crate) use self::breaker::Fault;
pub(crate) use self::sender::Sender;

/// The `Retry-After` of a call beyond the limit on concurrency. Most calls end much sooner.
const BUSY: Duration = Duration::from_secs(1);

/// The limits of one plugin, with their current state.
#[derive(Debug)]
pub(crate) struct Overload {
    rates: Option<Rates>,
    breaker: Option<Breaker>,
    senders: Senders,
    calls: Arc<Semaphore>,
    engine_calls: Arc<Semaphore>,
    kept_place: Mutex<KeptPlace>,
    processors: ProcessorShare,
    deadline: Duration,
}

/// A place among the engine's calls that no other authenticator can take.
#[derive(Debug)]
enum KeptPlace {
    /// It is free.
    Free(OwnedSemaphorePermit),
    /// A call has it, or the engine had none left. The place of the next call that ends is kept.
    Wanted,
    /// None is kept any more.
    Retired,
}

/// Why a call is refused, and how long to wait before the next try.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TurnedAway {
    /// The limit on concurrent calls is reached.
    #[error("too many calls at once (limits.concurrency)")]
    Busy,
    /// The limit on the calls of all plugins together is reached.
    #[error("all plugins together run as many calls as they may (plugins.concurrency)")]
    EngineBusy,
    /// The processors have too much to do before it.
    #[error(
        "the processors are busy: after the calls before it, it would miss limits.deadline by {}",
        humantime::format_duration(Duration::from_millis(u64::try_from(.late.as_millis()).unwrap_or(u64::MAX)))
    )]
    Processors {
        /// By how much it would miss its deadline.
        late: Duration,
    },
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
    /// Calls for its client or for all keep failing, and as many of them run as may.
    #[error("calls for its client or for all kept failing, so that few may run at once (limits.breaker)")]
    Failing,
}

impl TurnedAway {
    /// How long to wait before the next try.
    pub(crate) fn retry_after(self) -> Duration {
        match self {
            Self::Busy | Self::EngineBusy | Self::Failing => BUSY,
            Self::Processors { late } => late.max(BUSY),
            Self::Rate { wait, .. } | Self::Breaker(wait) => wait,
        }
    }
}

impl Overload {
    pub(crate) fn new(
        name: &PluginName,
        grants: &Grants,
        limits: &Limits,
        processors: &ProcessorShare,
        engine_calls: &Arc<Semaphore>,
        meters: &Meters,
    ) -> Self {
        let kept = Arc::clone(engine_calls).try_acquire_owned().ok();
        Self::with_place(name, grants, limits, processors, engine_calls, kept, meters)
    }

    /// Keeps this place among the calls of these.
    pub(crate) fn with_place(
        name: &PluginName,
        grants: &Grants,
        limits: &Limits,
        processors: &ProcessorShare,
        engine_calls: &Arc<Semaphore>,
        kept: Option<OwnedSemaphorePermit>,
        meters: &Meters,
    ) -> Self {
        Self {
            rates: limits.rate.map(|rate| Rates::new(rate, SharedPlace::default(), "")),
            breaker: limits
                .breaker
                .map(|failures| Breaker::new(name.clone(), failures, limits.concurrency, meters)),
            senders: Senders::new(grants),
            calls: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            kept_place: Mutex::new(kept.map_or(KeptPlace::Wanted, KeptPlace::Free)),
            engine_calls: Arc::clone(engine_calls),
            processors: processors.clone(),
            deadline: limits.deadline,
        }
    }

    /// Shares the rates of clients with processes whose namespace is the same.
    pub(crate) fn sharing_rates(self, shared: &SharedPlace, namespace: &str) -> Self {
        let rates = self
            .rates
            .map(|rates| Rates::new(rates.limit(), shared.clone(), namespace));
        Self { rates, ..self }
    }

    /// Counts a request of the client with this address, whether it leads to a call or not.
    pub(crate) fn count(&self, client: Option<IpAddr>) -> Result<(), TurnedAway> {
        let Some(rates) = &self.rates else { return Ok(()) };
        rates.check(client.map(Client::of)).map_err(|wait| TurnedAway::Rate {
            wait,
            limit: rates.limit(),
        })
    }

    /// The sender of a request, for the circuit breaker.
    pub(crate) fn sender(&self, request: &AuthRequest, grants: &Grants, user: Option<&Authenticated>) -> Sender {
        match (&self.breaker, user) {
            (Some(_), Some(user)) => self.senders.of_user(request, user),
            (Some(_), None) => self.senders.of(request, grants),
            (None, _) => Sender::at(request.client_address),
        }
    }

    /// Admits a call about a request of this sender.
    pub(crate) fn enter(self: &Arc<Self>, sender: Sender) -> Result<CallPermit, TurnedAway> {
        let own = Arc::clone(&self.calls)
            .try_acquire_owned()
            .map_err(|_| TurnedAway::Busy)?;
        let place = self.place().ok_or(TurnedAway::EngineBusy)?;
        let processors = self.processors.admit(self.deadline);
        let processors = processors.map_err(|late| TurnedAway::Processors { late })?;
        let trial = self
            .breaker
            .as_ref()
            .map(|breaker| breaker.enter(sender, Instant::now()));
        let trial = trial.transpose().map_err(|stopped| match stopped {
            Stopped::Open(wait) => TurnedAway::Breaker(wait),
            Stopped::Few => TurnedAway::Failing,
        })?;
        Ok(CallPermit {
            overload: Arc::clone(self),
            trial,
            has_begun: false,
            _place: place,
            _own: own,
            _processors: processors,
        })
    }

    /// Gives up the kept place. The last calls of an authenticator that was replaced compete with those of all others.
    pub(crate) fn retire(&self) {
        *self.kept_place() = KeptPlace::Retired;
        if let Some(breaker) = &self.breaker {
            breaker.retire();
        }
    }

    /// Takes a place among the calls of all plugins.
    fn place(self: &Arc<Self>) -> Option<Place> {
        let mut kept = self.kept_place();
        let place = match std::mem::replace(&mut *kept, KeptPlace::Wanted) {
            KeptPlace::Free(place) => Some(place),
            other => {
                *kept = other;
                Arc::clone(&self.engine_calls).try_acquire_owned().ok()
            }
        };
        place.map(|place| Place {
            overload: Arc::clone(self),
            permit: Some(place),
        })
    }

    fn kept_place(&self) -> MutexGuard<'_, KeptPlace> {
        self.kept_place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was admitted. It counts as running until this is dropped.
#[derive(Debug)]
pub(crate) struct CallPermit {
    overload: Arc<Overload>,
    trial: Option<Trial>,
    /// Whether the plugin is asked.
    has_begun: bool,
    _place: Place,
    _own: OwnedSemaphorePermit,
    _processors: Expected,
}

/// A place among the calls of all plugins, which its authenticator keeps afterwards if it has none.
#[derive(Debug)]
struct Place {
    overload: Arc<Overload>,
    /// `None` while it is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut kept = self.overload.kept_place();
        if let (KeptPlace::Wanted, Some(permit)) = (&*kept, self.permit.take()) {
            *kept = KeptPlace::Free(permit);
        }
    }
}

impl CallPermit {
    /// Says that the plugin is asked now.
    pub(crate) fn begins(&mut self) {
        self.has_begun = true;
    }

    /// Reports how the call ended.
    pub(crate) fn ended(mut self, how: Ended) {
        self.settle(how);
    }

    fn settle(&mut self, how: Ended) {
        if let (Some(breaker), Some(trial)) = (&self.overload.breaker, self.trial.take()) {
            breaker.settle(&trial, how, Instant::now());
        }
    }
}

impl Drop for CallPermit {
    /// A call without a report counts as failed. Otherwise a circuit breaker could wait for its trial for ever. One that was given up before
    /// it began says nothing about the plugin.
    fn drop(&mut self) {
        self.settle(match self.has_begun {
            true => Ended::Failed(Fault::Request),
            false => Ended::Undecided,
        });
    }
}

#[cfg(test)]
mod tests;
