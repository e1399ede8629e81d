//! The lines that wait to be written, and the requests whose lines are still to come. Both are bounded, and what happens at the
//! bound is decided here.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use metrics::counter;

use super::DROPPED;
use super::REFUSED;
use crate::config::AuditConfig;
use crate::config::WhenFull;

/// How much waits, and how much may.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Lines that were taken and aren't written.
    lines: AtomicUsize,
    /// Their length in bytes.
    bytes: AtomicUsize,
    /// Requests that are being decided.
    requests: AtomicUsize,
    /// How many lines may wait.
    most: AtomicUsize,
    /// Whether requests are refused if that many wait.
    refuses: AtomicBool,
    /// Lines that were dropped since the writer has last asked.
    dropped: AtomicU64,
    /// Requests that were refused since then.
    refused: AtomicU64,
    /// Whether nothing more comes, so that the writer waits for no reader.
    pub(super) is_ending: AtomicBool,
}

impl Load {
    /// Goes by these settings from now on.
    pub(super) fn follow(&self, config: &AuditConfig) {
        self.most.store(config.queue, Ordering::Relaxed);
        self.refuses
            .store(config.when_full == WhenFull::Refuse, Ordering::Relaxed);
    }

    /// Makes room for a line of this many bytes. Returns whether there is any; if not, the line counts as dropped.
    pub(super) fn add(&self, bytes: usize) -> bool {
        let lines = self.lines.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed);
        // Requests that were let in have room for what they still say.
        let reserve = if self.refuses.load(Ordering::Relaxed) {
            RESERVE
        } else {
            1
        };
        let has_room = lines < most.saturating_mul(reserve) && waiting.saturating_add(bytes) <= MAX_BYTES;
        if !has_room {
            self.remove(1, bytes);
            self.count_dropped(1);
        }
        has_room
    }

    /// Lines were written, or given up.
    pub(super) fn remove(&self, lines: usize, bytes: usize) {
        self.lines.fetch_sub(lines, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts lines that are not written.
    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        counter!(DROPPED).increment(lines);
    }

    /// Lines that wait.
    pub(super) fn waiting(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// How many lines were dropped, and how many requests were refused, since this was last asked.
    pub(super) fn take_losses(&self) -> (u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        (take(&self.dropped), take(&self.refused))
    }

    /// Whether the next request would be refused.
    pub(super) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed) && !self.has_room_beside(self.requests.load(Ordering::Relaxed))
    }

    /// Whether there is room for a request beside so many others.
    fn has_room_beside(&self, requests: usize) -> bool {
        let lines = self.lines.load(Ordering::Relaxed).saturating_add(requests);
        lines < self.most.load(Ordering::Relaxed) && self.bytes.load(Ordering::Relaxed) < MAX_BYTES / 2
    }

    /// Lets a request in. `None` if its lines might have no room, and it must be refused.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Permit> {
        if !self.refuses.load(Ordering::Relaxed) {
            return Some(Permit(None));
        }
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Some(Arc::clone(self)));
        if !self.has_room_beside(requests) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            counter!(REFUSED).increment(1);
            return None;
        }
        Some(permit)
    }
}

/// A request that is being decided. It counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Load>>);

impl Permit {
    /// For a request without an audit file.
    pub(super) const NONE: Self = Self(None);
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(load) = &self.0 {
            load.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How many bytes may wait.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// How many lines a request that was let in may have: a decision and a denial, and a warning for each of some plugins that fail.
const RESERVE: usize = 8;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::config::AuditTarget;

    fn load(queue: usize, when_full: WhenFull) -> Arc<Load> {
        let load = Arc::new(Load::default());
        load.follow(&AuditConfig {
            target: AuditTarget::File(PathBuf::new()),
            queue,
            when_full,
            checkpoint: Duration::from_secs(60),
            key: None,
        });
        load
    }

    #[test]
    fn a_full_queue_drops_lines_and_counts_them() {
        let load = load(3, WhenFull::Drop);
        let taken = (0..5).filter(|_| load.add(10)).count();
        assert_eq!((taken, load.waiting()), (3, 3));
        assert!(load.admit().is_some(), "no request is refused");
        assert_eq!(load.take_losses(), (2, 0));
        load.remove(1, 10);
        assert!(load.add(10));
        assert_eq!(load.take_losses(), (0, 0));
    }

    #[test]
    fn no_line_of_a_request_that_was_let_in_is_dropped() {
        let load = load(4, WhenFull::Refuse);
        let permits = Vec::from_iter((0..10).map_while(|_| load.admit()));
        assert_eq!(permits.len(), 4, "requests count as much as lines");
        for _ in 0..permits.len() * 3 {
            assert!(load.add(100));
        }
        drop(permits);
        assert!(load.refuses() && load.admit().is_none(), "lines wait");
        load.remove(9, 900);
        assert!(load.admit().is_some());
        assert_eq!(load.take_losses(), (0, 2));
    }

    #[test]
    fn long_lines_are_bounded_too() {
        let load = load(1000, WhenFull::Drop);
        let size = MAX_BYTES / 4;
        assert_eq!((0..10).filter(|_| load.add(size)).count(), 4);
    }
}
