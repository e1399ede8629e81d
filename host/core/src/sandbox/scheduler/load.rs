//! How long the calls of an authenticator usually compute, and the computing that admitted calls still need.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ProcessorShare;

/// How long a call usually computes: an exponential moving average of the calls that answered.
#[derive(Debug, Default)]
pub(super) struct Cost(AtomicU64);

/// The weight of the newest call is one of this many.
const WEIGHT: u64 = 8;

impl Cost {
    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn learn(&self, computed: Duration) {
        let computed = u64::try_from(computed.as_nanos()).unwrap_or(u64::MAX);
        let blend = |old: u64| match old {
            0 => computed,
            old => old - old / WEIGHT + computed / WEIGHT,
        };
        // Losing a race loses one call of many.
        let old = self.0.load(Ordering::Relaxed);
        self.0.store(blend(old), Ordering::Relaxed);
    }
}

/// The computing that an admitted call is expected to need. It counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Expected(Option<(ProcessorShare, Duration)>);

impl Expected {
    /// A call that is too short to count.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) const fn new(share: ProcessorShare, cost: Duration) -> Self {
        Self(Some((share, cost)))
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if let Some((share, cost)) = &self.0 {
            share.0.scheduler.queue().settle(share.0.id, *cost);
        }
    }
}
