//! The deadline of a call, which includes computing and waiting. A plugin that computes is stopped at the next epoch,
//! and every wait ends at the deadline, so that the call's future never has to be dropped.

use std::fmt;
use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use tokio::time::timeout_at;
use wasmtime::Store;
use wasmtime::UpdateDeadline;

use super::HostState;
use super::scheduler::ComputePermit;

/// The deadline of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A deadline this long from now.
    pub(super) fn start(deadline: Duration) -> Self {
        Self(Instant::now() + deadline)
    }

    /// The instant of the deadline.
    pub(super) const fn deadline(self) -> Instant {
        self.0
    }

    /// Waits for a future until the deadline, and lets other calls compute in the meantime.
    pub(super) async fn wait<T>(
        self,
        permit: &ComputePermit,
        something: impl Future<Output = T>,
    ) -> wasmtime::Result<T> {
        permit.pause();
        let result = timeout_at(self.0.into(), something).await;
        permit.resume().await;
        Ok(result.map_err(|_| Stop::Deadline)?)
    }

    /// Does work of the call's own until the deadline, on a thread for such work, and with a permit.
    pub(super) async fn compute<T: Send + 'static>(
        self,
        permit: &ComputePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> wasmtime::Result<T> {
        let result = timeout_at(self.0.into(), permit.compute(work)).await;
        Ok(result.map_err(|_| Stop::Deadline)??)
    }

    /// Makes a plugin that computes yield to other requests at every epoch, and stops it at the deadline.
    pub(super) fn watch(self, store: &mut Store<HostState>) {
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |store| {
            if Instant::now() < self.0 {
                let permit = store.data().permit.clone();
                Ok(UpdateDeadline::YieldCustom(1, Box::pin(permit.yield_now())))
            } else {
                Err(Stop::Deadline.into())
            }
        });
    }
}

/// Why the host stopped a plugin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// It exceeded its deadline.
    Deadline,
    /// It read more attributes than the host remembers.
    TooManyReads,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deadline => "it was not done by its deadline (limits.deadline)",
            Self::TooManyReads => "it asked more than 256 different questions about one request",
        })
    }
}

impl std::error::Error for Stop {}
