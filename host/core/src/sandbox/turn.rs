//! Turns on the processors. A call that has computed for a while goes on only in its turn, with all but one processor
//! shared out in turns: however many plugins never end, a short call finds a processor within one epoch.

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

/// How long a call may compute before it has to wait for its turn: far more than an authenticator in Rust needs.
const FREE: Duration = Duration::from_millis(10);

/// The turns of an engine's calls.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// One processor stays free for short calls and for the server itself, where there is more than one.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))))
    }
}

/// How much one call has computed, and its turn if it has one. A clone is of the same call.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    turns: Turns,
    deadline: Instant,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug)]
struct Spent {
    computed: Duration,
    since: Instant,
    turn: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// A call that starts to compute now.
    pub(super) fn start(turns: &Turns, deadline: Instant) -> Self {
        let spent = Spent {
            computed: Duration::ZERO,
            since: Instant::now(),
            turn: None,
        };
        Self {
            turns: turns.clone(),
            deadline,
            spent: Arc::new(Mutex::new(spent)),
        }
    }

    /// The call stops to compute: it waits for something, or gives way.
    pub(super) fn rest(&self) {
        let mut spent = self.spent();
        let computed = spent.since.elapsed();
        spent.computed += computed;
        spent.turn = None;
    }

    /// The call goes on, as soon as it may; at its deadline in any case, which then ends it.
    pub(super) async fn resume(&self) {
        let turn = if self.spent().computed <= FREE {
            None
        } else {
            let turn = timeout_at(self.deadline.into(), Arc::clone(&self.turns.0).acquire_owned());
            turn.await.ok().and_then(Result::ok)
        };
        let mut spent = self.spent();
        spent.since = Instant::now();
        spent.turn = turn;
    }

    /// Lets others go first, then goes on.
    pub(super) async fn give_way(self) {
        self.rest();
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

    fn call(turns: &Turns, computed: Duration) -> Turn {
        let turn = Turn::start(turns, Instant::now() + Duration::from_secs(60));
        turn.spent().computed = computed;
        turn
    }

    fn has_turn(turn: &Turn) -> bool {
        turn.spent().turn.is_some()
    }

    #[tokio::test]
    async fn a_long_call_waits_for_its_turn_and_a_short_one_does_not() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let [first, second] = [call(&turns, FREE * 2), call(&turns, FREE * 2)];
        first.resume().await;
        assert!(has_turn(&first));

        let mut waits = Box::pin(second.resume());
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        call(&turns, Duration::ZERO).resume().await;

        first.rest();
        waits.await;
        assert!(has_turn(&second) && !has_turn(&first));
    }

    #[tokio::test]
    async fn a_call_that_ends_gives_its_turn_back() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let first = call(&turns, FREE * 2);
        first.resume().await;
        drop(first);
        let second = call(&turns, FREE * 2);
        second.resume().await;
        assert!(has_turn(&second));
    }

    #[tokio::test]
    async fn nobody_waits_past_the_deadline() {
        let turns = Turns(Arc::new(Semaphore::new(0)));
        let turn = Turn::start(&turns, Instant::now());
        turn.spent().computed = FREE * 2;
        turn.resume().await;
        assert!(!has_turn(&turn));
    }
}
