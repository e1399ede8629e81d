//! The rate limit for each client, by the generic cell rate algorithm of `governor`. There is one cell for each client
//! that was seen recently.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use governor::DefaultDirectRateLimiter;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::clock::DefaultClock;

use super::client::Client;
use crate::lazy_cache::LazyCache;
use crate::limits::Rate;

/// The most clients that are remembered. In a flood from more addresses, they replace each other.
const MAX_CLIENTS: u64 = 65_536;

/// The cells of all clients. Those without a known address share one.
pub(super) struct Rates {
    pub(super) limit: Rate,
    quota: Option<Quota>,
    clock: DefaultClock,
    cells: LazyCache<Option<Client>, Arc<DefaultDirectRateLimiter>>,
}

impl Rates {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            limit: rate,
            quota: quota(rate),
            clock: DefaultClock::default(),
            // A cell that was not used for this long is full again, like a new one.
            cells: LazyCache::new(move || {
                moka::sync::Cache::builder()
                    .max_capacity(MAX_CLIENTS)
                    .time_to_idle(rate.per)
            }),
        }
    }

    /// Counts a call of a client. The error is the time until the next call is allowed.
    pub(super) fn check(&self, client: Option<Client>) -> Result<(), Duration> {
        let Some(quota) = self.quota else { return Ok(()) };
        let cell = self.cells.open().get_with(client, || {
            Arc::new(RateLimiter::direct_with_clock(quota, self.clock.clone()))
        });
        cell.check().map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

fn quota(rate: Rate) -> Option<Quota> {
    let one = rate.per / rate.calls.get();
    Quota::with_period(one.max(Duration::from_nanos(1))).map(|quota| quota.allow_burst(rate.calls))
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates")
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_rate() {
        let rates = Rates::new("2/h".parse().unwrap());
        let client = |last| Some(Client::of([192, 0, 2, last].into()));
        for (last, allowed) in [
            (1, true),
            (1, true),
            (1, false),
            (2, true),
            (1, false),
            (2, true),
            (2, false),
        ] {
            assert_eq!(rates.check(client(last)).is_ok(), allowed, "{last}");
        }
        let wait = rates.check(client(1)).unwrap_err();
        assert!(
            (1000..=1800).contains(&wait.as_secs()),
            "half an hour brings the next: {wait:?}"
        );
    }
}
