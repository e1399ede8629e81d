//! The memory that all instances of an engine have together. The limit of each alone says nothing about many at once,
//! and a process that takes more than its container has is killed with all its requests.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// What is left for all.
#[derive(Debug)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// A budget of so many bytes.
    pub(crate) const fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }
}

/// What one instance has taken. It goes back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    pub(super) const fn of(budget: Arc<Budget>) -> Self {
        Self { budget, taken: 0 }
    }

    /// Takes more, if there is as much.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = &self.budget.0;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.taken += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_taken_another_gets_when_it_is_gone() {
        let budget = Arc::new(Budget::new(100));
        let mut one = Share::of(Arc::clone(&budget));
        let mut other = Share::of(Arc::clone(&budget));
        assert!(one.take(60) && one.take(20));
        assert!(!other.take(30));
        assert!(other.take(20));
        drop(one);
        assert!(other.take(80));
        assert!(!other.take(1));
    }
}
