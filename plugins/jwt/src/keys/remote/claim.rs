//! The right to fetch, which one of many instances holds at a time. It lies in the gateway's cache and ends by itself, so
//! an instance that is stopped in the middle holds nobody up for long.

use std::thread;
use std::time::Duration;

use portcullis_sdk::cache;

/// How often an instance that waits looks again.
const POLL: Duration = Duration::from_millis(20);

const PENDING: &[u8] = b"pending";
const SUCCEEDED: &[u8] = b"succeeded";
const FAILED: &[u8] = b"failed: ";

/// The right to do something once.
pub(super) struct Claim(String);

/// How far the holder of a claim has got.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It failed, for this reason.
    Failed(String),
    /// It has not got anywhere yet.
    Pending,
    /// It succeeded, or nobody holds the claim.
    Settled,
}

impl Claim {
    pub(super) const fn new(cache_key: String) -> Self {
        Self(cache_key)
    }

    /// Takes the claim for so long, unless it is taken.
    pub(super) fn take(&self, duration: Duration) -> bool {
        cache::add(&self.0, PENDING, duration)
    }

    /// Lets others take it at once.
    pub(super) fn release(&self) {
        cache::delete(&self.0);
    }

    /// Says that it is done, and keeps others from taking it for so long.
    pub(super) fn succeed(&self, duration: Duration) {
        cache::set(&self.0, SUCCEEDED, duration);
    }

    /// Says why it could not be done, and keeps others from taking it for so long.
    pub(super) fn fail(&self, reason: &str, duration: Duration) {
        cache::set(&self.0, &[FAILED, reason.as_bytes()].concat(), duration);
    }

    /// Waits until whoever holds the claim has got somewhere, and no longer than this.
    pub(super) fn wait(&self, limit: Duration) -> Outcome {
        let mut waited = Duration::ZERO;
        loop {
            let outcome = self.outcome();
            if outcome != Outcome::Pending || waited >= limit {
                return outcome;
            }
            thread::sleep(POLL);
            waited += POLL;
        }
    }

    fn outcome(&self) -> Outcome {
        match cache::get(&self.0) {
            Some(state) if state == PENDING => Outcome::Pending,
            Some(state) => match state.strip_prefix(FAILED) {
                Some(reason) => Outcome::Failed(String::from_utf8_lossy(reason).into_owned()),
                None => Outcome::Settled,
            },
            None => Outcome::Settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::FakeHost;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_of_many_gets_the_claim_and_the_others_learn_how_it_went() {
        let host = FakeHost::start();
        let claim = || Claim::new("c".to_owned());
        assert_eq!(claim().wait(SECOND), Outcome::Settled);
        assert!(claim().take(SECOND));
        assert!(!claim().take(SECOND));
        assert_eq!(claim().wait(POLL), Outcome::Pending);
        claim().fail("no route", SECOND);
        assert_eq!(claim().wait(SECOND), Outcome::Failed("no route".to_owned()));
        assert!(!claim().take(SECOND));
        claim().succeed(SECOND);
        assert_eq!(claim().wait(SECOND), Outcome::Settled);
        assert!(!claim().take(SECOND));
        host.advance(SECOND);
        assert!(claim().take(SECOND));
        claim().release();
        assert!(claim().take(SECOND));
    }
}
