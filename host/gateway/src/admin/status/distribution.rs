//! What a histogram recorded: how many values are below each bound of its buckets. The page reads quantiles from it.

use crate::admin::recorder::BUCKETS;

/// One for each bound of a histogram's buckets, and one for all values.
pub(super) const SLOTS: usize = BUCKETS.len() + 1;

/// What a histogram recorded within some time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Distribution([u64; SLOTS]);

impl Distribution {
    /// What several histograms, or one within several times, recorded together.
    pub(super) fn sum(parts: &[Self]) -> Self {
        let mut sum = Self::default();
        for part in parts {
            sum.add(part);
        }
        sum
    }

    /// Adds what another one recorded.
    pub(super) fn add(&mut self, Self(counts): &Self) {
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum += count;
        }
    }

    /// As many values as these are below each of the bounds, and at all.
    pub(super) fn new(slots: [u64; SLOTS]) -> Self {
        Self(slots)
    }

    /// The index of the first of the [`BUCKETS`] that has this share of the values, or their number if it is above the last one.
    /// `None` if there are no values.
    pub(super) fn bucket(&self, share: f64) -> Option<usize> {
        let all = self.count();
        let has_share = |count: &u64| *count as f64 >= share * all as f64;
        (all > 0).then(|| self.0.iter().position(has_share).unwrap_or(BUCKETS.len()))
    }

    /// The bound in seconds below which this share of the values lies, as far as the buckets tell. `None` if there are no values, or
    /// if it is above the last bound.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        BUCKETS.get(self.bucket(share)?).copied()
    }

    /// How many values there are.
    pub(super) fn count(&self) -> u64 {
        self.0.last().copied().unwrap_or_default()
    }
}
