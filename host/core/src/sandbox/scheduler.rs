//! Shares the processors fairly. A call that has computed for a while needs a permit to go on, and there is one permit
//! less than processors: even if many plugins loop for ever, a short call gets a processor within one epoch.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread::available_parallelism;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

/// How long a call may compute before it needs a permit. An authenticator in Rust needs far less.
const FREE: Duration = Duration::from_millis(10);

/// The permits for the long calls of an engine. A clone has the same permits.
#[derive(Clone, Debug)]
pub(crate) struct FairScheduler(Arc<Semaphore>);

impl FairScheduler {
    /// One processor less than the machine has, but at least one: the rest stays free for short calls and the server.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))))
    }
}

/// How long one call has computed, and its permit if it has one. A clone belongs to the same call.
#[derive(Clone, Debug)]
pub(crate) struct ComputePermit {
    scheduler: FairScheduler,
    deadline: Instant,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug)]
struct Spent {
    computed: Duration,
    since: Instant,
    permit: Option<OwnedSemaphorePermit>,
}

impl ComputePermit {
    /// Starts to measure a call.
    pub(super) fn start(scheduler: &FairScheduler, deadline: Instant) -> Self {
        let spent = Spent {
            computed: Duration::ZERO,
            since: Instant::now(),
            permit: None,
        };
        Self {
            scheduler: scheduler.clone(),
            deadline,
            spent: Arc::new(Mutex::new(spent)),
        }
    }

    /// Ends the measurement and returns the permit: the call waits or yields.
    pub(super) fn pause(&self) {
        let mut spent = self.spent();
        let computed = spent.since.elapsed();
        spent.computed += computed;
        spent.permit = None;
    }

    /// Waits for a permit if the call needs one, and goes on with the measurement. At the deadline the call goes on
    /// without a permit, and is stopped.
    pub(super) async fn resume(&self) {
        let permit = if self.spent().computed <= FREE {
            None
        } else {
            let permit = timeout_at(self.deadline.into(), Arc::clone(&self.scheduler.0).acquire_owned());
            permit.await.ok().and_then(Result::ok)
        };
        let mut spent = self.spent();
        spent.since = Instant::now();
        spent.permit = permit;
    }

    /// Lets other calls compute first.
    pub(super) async fn yield_now(self) {
        self.pause();
        tokio::task::yield_now().await;
        self.resume().await;
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(scheduler: &FairScheduler, computed: Duration) -> ComputePermit {
        let permit = ComputePermit::start(scheduler, Instant::now() + Duration::from_secs(60));
        permit.spent().computed = computed;
        permit
    }

    fn has_permit(permit: &ComputePermit) -> bool {
        permit.spent().permit.is_some()
    }

    #[tokio::test]
    async fn a_long_call_waits_for_a_permit_and_a_short_one_does_not() {
        let scheduler = FairScheduler(Arc::new(Semaphore::new(1)));
        let [first, second] = [call(&scheduler, FREE * 2), call(&scheduler, FREE * 2)];
        first.resume().await;
        assert!(has_permit(&first));

        let mut waits = Box::pin(second.resume());
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        call(&scheduler, Duration::ZERO).resume().await;

        first.pause();
        waits.await;
        assert!(has_permit(&second) && !has_permit(&first));
    }

    #[tokio::test]
    async fn a_dropped_call_returns_its_permit() {
        let scheduler = FairScheduler(Arc::new(Semaphore::new(1)));
        let first = call(&scheduler, FREE * 2);
        first.resume().await;
        drop(first);
        let second = call(&scheduler, FREE * 2);
        second.resume().await;
        assert!(has_permit(&second));
    }

    #[tokio::test]
    async fn a_call_waits_until_its_deadline_at_most() {
        let scheduler = FairScheduler(Arc::new(Semaphore::new(0)));
        let permit = ComputePermit::start(&scheduler, Instant::now());
        permit.spent().computed = FREE * 2;
        permit.resume().await;
        assert!(!has_permit(&permit));
    }
}
