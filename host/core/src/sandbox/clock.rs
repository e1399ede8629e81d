//! How long a call may take, computing and waiting together. A plugin that computes is stopped at an epoch, one that
//! waits is stopped by the wait; the call itself always runs to its end.

use std::fmt;
use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use tokio::time::timeout_at;
use wasmtime::Store;
use wasmtime::UpdateDeadline;

use super::State;

/// When a call must have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts now.
    pub(super) fn start(deadline: Duration) -> Self {
        Self(Instant::now() + deadline)
    }

    /// When the call must have ended.
    pub(super) const fn deadline(self) -> Instant {
        self.0
    }

    /// Waits for something, but not past the deadline.
    pub(super) async fn wait<T>(self, something: impl Future<Output = T>) -> wasmtime::Result<T> {
        Ok(timeout_at(self.0.into(), something).await.map_err(|_| Stop::Deadline)?)
    }

    /// Lets a plugin that computes give way to other requests at every epoch, and stops it at the deadline.
    pub(super) fn watch(self, store: &mut Store<State>) {
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |store| {
            if Instant::now() < self.0 {
                let turn = store.data().turn.clone();
                Ok(UpdateDeadline::YieldCustom(1, Box::pin(turn.give_way())))
            } else {
                Err(Stop::Deadline.into())
            }
        });
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
