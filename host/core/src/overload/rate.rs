//! How often one client may make a plugin run: the generic cell rate algorithm of `governor`, with one cell for each
//! client that was seen lately.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use governor::DefaultDirectRateLimiter;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::clock::DefaultClock;

use super::client::Client;

/// Most clients that are remembered. A flood from more addresses pushes out its own.
const MAX_CLIENTS: u64 = 65_536;

/// How many calls a client may cause over time: `20/s`, `300/m`.
///
/// The whole number may come at once; then they come back one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    calls: NonZero<u32>,
    per: Duration,
}

impl Rate {
    /// So many calls in this time. None when the time is zero.
    pub const fn new(calls: NonZero<u32>, per: Duration) -> Option<Self> {
        if per.is_zero() { None } else { Some(Self { calls, per }) }
    }

    fn quota(self) -> Option<Quota> {
        let one = self.per / self.calls.get();
        Quota::with_period(one.max(Duration::from_nanos(1))).map(|quota| quota.allow_burst(self.calls))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (calls, unit) = text.split_once('/').ok_or(RateError)?;
        let per = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(RateError),
        };
        let calls = calls.parse().map_err(|_| RateError)?;
        Self::new(calls, Duration::from_secs(per)).ok_or(RateError)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.as_secs() {
            1 => write!(f, "{}/s", self.calls),
            60 => write!(f, "{}/m", self.calls),
            3600 => write!(f, "{}/h", self.calls),
            _ => write!(f, "{}/{:?}", self.calls, self.per),
        }
    }
}

/// A text is no rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a rate such as \"20/s\", \"300/m\" or \"1000/h\"")]
#[non_exhaustive]
pub struct RateError;

/// The cells of all clients.
pub(super) struct Rates {
    quota: Option<Quota>,
    clock: DefaultClock,
    cells: moka::sync::Cache<Client, Arc<DefaultDirectRateLimiter>>,
}

impl Rates {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            quota: rate.quota(),
            clock: DefaultClock::default(),
            // A cell that was left alone for this long is full again, and may as well be a new one.
            cells: moka::sync::Cache::builder()
                .max_capacity(MAX_CLIENTS)
                .time_to_idle(rate.per)
                .build(),
        }
    }

    /// Counts a call of a client's. The error is how long it has to wait for the next.
    pub(super) fn check(&self, client: Client) -> Result<(), Duration> {
        let Some(quota) = self.quota else { return Ok(()) };
        let cell = self.cells.get_with(client, || {
            Arc::new(RateLimiter::direct_with_clock(quota, self.clock.clone()))
        });
        cell.check().map_err(|early| early.wait_time_from(self.clock.now()))
    }
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
    fn a_rate_is_read_and_shown_as_it_is_written() {
        for text in ["20/s", "300/m", "1/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["", "20", "0/s", "-1/s", "1.5/s", "20/d", "20/ s", "99999999999/s"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }

    #[test]
    fn each_client_has_calls_of_its_own() {
        let rates = Rates::new("2/h".parse().unwrap());
        let client = |last| Client::of(Some([192, 0, 2, last].into()));
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
