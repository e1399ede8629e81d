//! How long a call may take, computing and waiting together. A plugin that computes is stopped at an epoch, one that
//! waits is stopped by the wait; the call itself always runs to its end.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use wasmtime::Store;
use wasmtime::UpdateDeadline;

use super::State;

/// When a call must have ended, and its turn to compute.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    end: Instant,
    turns: Arc<Semaphore>,
    turn: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Clock {
    /// Starts now. `turns` says how many calls may compute for longer than an epoch at the same time: the others wait
    /// for their turn, and a processor stays free for the calls that are done sooner.
    pub(super) fn start(deadline: Duration, turns: &Arc<Semaphore>) -> Self {
        Self {
            end: Instant::now() + deadline,
            turns: Arc::clone(turns),
            turn: Arc::default(),
        }
    }

    /// Waits for something, but not past the deadline.
    pub(super) async fn wait<T>(&self, something: impl Future<Output = T>) -> wasmtime::Result<T> {
        self.take_turn(None);
        Ok(timeout_at(self.end.into(), something)
            .await
            .map_err(|_| Stop::Deadline)?)
    }

    /// Lets a plugin that computes give way to other requests at every epoch, and stops it at the deadline.
    ///
    /// Its first epoch may have begun just before the call did, so only the second one makes it wait for its turn.
    pub(super) fn watch(&self, store: &mut Store<State>) {
        let clock = self.clone();
        let mut young = true;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            clock.take_turn(None);
            if Instant::now() >= clock.end {
                return Err(Stop::Deadline.into());
            }
            if std::mem::take(&mut young) {
                return Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())));
            }
            let clock = clock.clone();
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(clock.next_turn())))
        });
    }

    async fn next_turn(self) {
        tokio::task::yield_now().await;
        let turn = Arc::clone(&self.turns).acquire_owned();
        // Past the deadline it goes on, and the next epoch stops it.
        if let Ok(Ok(turn)) = timeout_at(self.end.into(), turn).await {
            self.take_turn(Some(turn));
        }
    }

    fn take_turn(&self, turn: Option<OwnedSemaphorePermit>) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }
}

/// Why the host stopped a plugin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// It was not done in time.
    Deadline,
    /// It asked more questions than a request has.
    Questions,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deadline => "it was not done by its deadline (limits.deadline)",
            Self::Questions => "it asked more than 256 different questions about one request",
        })
    }
}

impl std::error::Error for Stop {}
