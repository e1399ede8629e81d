//! Shares the processors. A call that has computed for a while needs a permit to go on, and there is one permit less than
//! processors: even if many plugins loop for ever, a short call gets a processor within one epoch. The permits are shared
//! fairly between authenticators, and those of one authenticator go to its oldest call, so that calls get done one after
//! the other instead of all missing their deadlines.

mod load;
mod queue;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread::available_parallelism;
use std::time::Duration;
use std::time::Instant;

use tokio::task::JoinError;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use self::load::Cost;
use self::queue::Held;
use self::queue::Queue;
use self::queue::ShareId;
use self::queue::Turn;

pub(crate) use self::load::Expected;

/// How long a call may compute before it needs a permit. An authenticator in Rust needs far less.
const FREE: Duration = Duration::from_millis(10);

/// How long a call may compute before the other calls of its authenticator come first, unless calls usually take longer.
const LONG: Duration = Duration::from_millis(250);

/// The permits for the long calls of an engine. A clone has the same permits.
#[derive(Clone, Debug)]
pub(crate) struct FairScheduler(Arc<Mutex<Queue>>);

impl FairScheduler {
    /// One processor less than the machine has, but at least one: the rest stays free for short calls and the server.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::with_permits(processors.saturating_sub(1).max(1))
    }

    fn with_permits(permits: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue::new(permits))))
    }

    /// A share of the processors for one authenticator.
    pub(crate) fn share(&self) -> ProcessorShare {
        let id = self.queue().add_share();
        ProcessorShare(Arc::new(Share {
            scheduler: self.clone(),
            id,
            cost: Cost::default(),
        }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One authenticator's share of the processors. A clone is the same share.
#[derive(Clone, Debug)]
pub(crate) struct ProcessorShare(Arc<Share>);

#[derive(Debug)]
struct Share {
    scheduler: FairScheduler,
    id: ShareId,
    cost: Cost,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.scheduler.queue().remove_share(self.id);
    }
}

impl ProcessorShare {
    /// Admits a call that has this much time. If it couldn't be done in time, because of calls that compute before it,
    /// the error is by how much it would be late.
    pub(crate) fn admit(&self, deadline: Duration) -> Result<Expected, Duration> {
        let cost = self.0.cost.get();
        if cost <= FREE {
            return Ok(Expected::none());
        }
        let mut queue = self.0.scheduler.queue();
        if let Some(late) = queue.lateness(self.0.id, cost, deadline) {
            return Err(late);
        }
        queue.expect(self.0.id, cost);
        Ok(Expected::new(self.clone(), cost))
    }
}

/// How long one call has computed, and its permit if it has one. A clone belongs to the same call.
#[derive(Clone, Debug)]
pub(crate) struct ComputePermit {
    share: ProcessorShare,
    begun: Instant,
    deadline: Instant,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug)]
struct Spent {
    computed: Duration,
    since: Instant,
    permit: Option<Held>,
}

impl ComputePermit {
    /// Starts to measure a call.
    pub(super) fn start(share: &ProcessorShare, deadline: Instant) -> Self {
        let now = Instant::now();
        let spent = Spent {
            computed: Duration::ZERO,
            since: now,
            permit: None,
        };
        Self {
            share: share.clone(),
            begun: now,
            deadline,
            spent: Arc::new(Mutex::new(spent)),
        }
    }

    /// Ends the measurement and returns the permit: the call waits.
    pub(super) fn pause(&self) {
        drop(self.measure().permit.take());
    }

    /// Waits for a permit if the call needs one, and goes on with the measurement. At the deadline the call goes on
    /// without a permit, and is stopped.
    pub(super) async fn resume(&self) {
        let (computed, has_permit) = {
            let spent = self.spent();
            (spent.computed, spent.permit.is_some())
        };
        let permit = if computed <= FREE || has_permit {
            None
        } else {
            let scheduler = &self.share.0.scheduler;
            let permit = queue::acquire(&scheduler.0, self.share.0.id, self.turn(computed));
            timeout_at(self.deadline.into(), permit).await.ok()
        };
        let mut spent = self.spent();
        spent.since = Instant::now();
        if permit.is_some() {
            spent.permit = permit;
        }
    }

    /// Computes on another thread with a permit, and counts the time as the call's own. The permit is held until the work is
    /// done, even if nobody waits for it any more, so there is never more of such work than there are permits.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let (turn, permit) = {
            let mut spent = self.measure();
            (self.turn(spent.computed), spent.permit.take())
        };
        let scheduler = &self.share.0.scheduler;
        let permit = match permit {
            Some(permit) => permit,
            None => queue::acquire(&scheduler.0, self.share.0.id, turn).await,
        };
        self.spent().since = Instant::now();
        let (result, permit) = spawn_blocking(move || (work(), permit)).await?;
        self.measure().permit = Some(permit);
        Ok(result)
    }

    /// Lets other calls compute first, if it is their turn.
    pub(super) async fn yield_now(self) {
        let passed_on = {
            let mut spent = self.measure();
            let turn = self.turn(spent.computed);
            let scheduler = &self.share.0.scheduler;
            let held = spent.permit.as_ref();
            let due = held.is_some_and(|held| scheduler.queue().another_is_due(self.share.0.id, turn, held));
            if due { spent.permit.take() } else { None }
        };
        // Its end locks the queue, so the call's own lock is released before.
        drop(passed_on);
        tokio::task::yield_now().await;
        self.resume().await;
    }

    /// Remembers how long the call has computed, as an estimate for later ones.
    pub(super) fn learn(&self) {
        let computed = self.measure().computed;
        self.share.0.cost.learn(computed);
    }

    fn turn(&self, computed: Duration) -> Turn {
        let usual = self.share.0.cost.get().saturating_mul(4).max(LONG);
        Turn::new(computed > usual, self.begun)
    }

    fn measure(&self) -> MutexGuard<'_, Spent> {
        let mut spent = self.spent();
        let now = Instant::now();
        let computed = now.duration_since(spent.since);
        spent.computed += computed;
        spent.since = now;
        spent
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
