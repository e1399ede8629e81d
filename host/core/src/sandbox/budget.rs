//! The bound on the memory of all instances of an engine together. The limit of each instance can't prevent many of
//! them from exceeding the container's memory, and then the whole process is killed.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The memory that all instances may have, and what is left of it.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: usize,
    left: AtomicUsize,
}

impl Budget {
    /// A budget of this many bytes.
    pub(crate) const fn new(bytes: usize) -> Self {
        Self {
            bytes,
            left: AtomicUsize::new(bytes),
        }
    }

    /// The whole budget, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes are taken.
    pub(crate) fn taken(&self) -> usize {
        self.bytes.saturating_sub(self.left.load(Ordering::Relaxed))
    }
}

/// The part of the budget that one instance has taken. It is returned when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    pub(crate) const fn of(budget: Arc<Budget>) -> Self {
        Self { budget, taken: 0 }
    }

    /// Takes more bytes. Returns `false` if the budget doesn't have them.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = &self.budget.left;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.taken += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_share_returns_to_the_budget() {
        let budget = Arc::new(Budget::new(100));
        let mut one = Share::of(Arc::clone(&budget));
        let mut other = Share::of(Arc::clone(&budget));
        assert!(one.take(60) && one.take(20));
        assert!(!other.take(30));
        assert!(other.take(20));
        assert_eq!((budget.bytes(), budget.taken()), (100, 100));
        drop(one);
        assert_eq!(budget.taken(), 20);
        assert!(other.take(80));
        assert!(!other.take(1));
    }
}
