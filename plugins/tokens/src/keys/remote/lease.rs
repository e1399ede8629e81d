//! The right to fetch keys, which one of many instances holds at a time. The lease is an entry in the gateway's cache
//! that expires, so an instance that is stopped in the middle does not block the others for long.

use std::thread;
use std::time::Duration;

use portcullis_sdk::cache;

/// How often a waiting instance checks the lease.
const POLL: Duration = Duration::from_millis(20);

const PENDING: &[u8] = b"pending";
const SUCCEEDED: &[u8] = b"succeeded";
const FAILED: &[u8] = b"failed: ";

/// A lease under a key of the cache.
pub(super) struct Lease(String);

/// The state of the fetch that a lease stands for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum FetchState {
    /// The fetch failed for this reason.
    Failed(String),
    /// The fetch has not finished.
    Pending,
    /// The fetch succeeded, or no instance holds the lease.
    Settled,
}

impl Lease {
    pub(super) const fn new(cache_key: String) -> Self {
        Self(cache_key)
    }

    /// Takes the lease for `duration`. Returns false if another instance holds it.
    pub(super) fn take(&self, duration: Duration) -> bool {
        cache::add(&self.0, PENDING, duration)
    }

    /// Gives up the lease, so that others can take it at once.
    pub(super) fn release(&self) {
        cache::delete(&self.0);
    }

    /// Marks the fetch as successful. No other instance can take the lease for `duration`.
    pub(super) fn succeed(&self, duration: Duration) {
        cache::set(&self.0, SUCCEEDED, duration);
    }

    /// Marks the fetch as failed. No other instance can take the lease for `duration`.
    pub(super) fn fail(&self, reason: &str, duration: Duration) {
        cache::set(&self.0, &[FAILED, reason.as_bytes()].concat(), duration);
    }

    /// Waits until the fetch has finished, but no longer than `limit`.
    pub(super) fn wait(&self, limit: Duration) -> FetchState {
        let mut waited = Duration::ZERO;
        loop {
            let state = self.state();
            if state != FetchState::Pending || waited >= limit {
                return state;
            }
            thread::sleep(POLL);
            waited += POLL;
        }
    }

    fn state(&self) -> FetchState {
        match cache::get(&self.0) {
            Some(entry) if entry == PENDING => FetchState::Pending,
            Some(entry) => match entry.strip_prefix(FAILED) {
                Some(reason) => FetchState::Failed(String::from_utf8_lossy(reason).into_owned()),
                None => FetchState::Settled,
            },
            None => FetchState::Settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::FakeHost;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_instance_gets_the_lease_and_the_others_see_its_result() {
        let host = FakeHost::start();
        let lease = || Lease::new("c".to_owned());
        assert_eq!(lease().wait(SECOND), FetchState::Settled);
        assert!(lease().take(SECOND));
        assert!(!lease().take(SECOND));
        assert_eq!(lease().wait(POLL), FetchState::Pending);
        lease().fail("no route", SECOND);
        assert_eq!(lease().wait(SECOND), FetchState::Failed("no route".to_owned()));
        assert!(!lease().take(SECOND));
        lease().succeed(SECOND);
        assert_eq!(lease().wait(SECOND), FetchState::Settled);
        assert!(!lease().take(SECOND));
        host.advance(SECOND);
        assert!(lease().take(SECOND));
        lease().release();
        assert!(lease().take(SECOND));
    }
}
