//! Bounds on what a call of a plugin may cost. The defaults are far above what a well-behaved plugin needs.

mod instances;
mod rate;

use std::num::NonZero;
use std::time::Duration;

pub use self::instances::KeepInstances;
pub use self::rate::Rate;
pub use self::rate::RateError;

/// Bounds on the calls of one authenticator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "built by applications that configure an authenticator"
)]
pub struct Limits {
    /// The longest time for a call, including its waits for other servers. Default: 5 seconds, enough for two exchanges
    /// with an identity provider.
    pub deadline: Duration,
    /// The most memory for an instance, in bytes. Default: 64 MiB. Larger values than [`Limits::MAX_MEMORY`] are
    /// reduced to it.
    pub memory: usize,
    /// The most calls that run at the same time. A call beyond it is answered with 503 immediately, it doesn't wait. All
    /// authenticators together are bounded by [`EngineBuilder::concurrency`](crate::EngineBuilder::concurrency). Default:
    /// 64.
    pub concurrency: usize,
    /// The size of the authenticator's cache, in bytes. Default: 16 MiB.
    pub cache: usize,
    /// The rate limit for each client, for calls and reused decisions. A request beyond it is answered with 429. A client is an
    /// IPv4 address or an IPv6 network of 64 bits; all clients without a known address share one limit. `None`, the default, for
    /// no rate limit.
    pub rate: Option<Rate>,
    /// The circuit breaker: after this many failures in a row, traps and missed deadlines, requests with the same credentials
    /// (what the plugin may read of them, but for headers such as `User-Agent`) are answered with 503 without a call, for one
    /// second at first and at most for a minute. If calls for one client fail with several credentials, an eighth of
    /// `concurrency` is left to it, and the same is left to all after calls of three different senders have failed without a
    /// successful one in between. Senders whose calls have succeeded before are called in any case. `None` for no circuit
    /// breaker. Default: 5.
    pub breaker: Option<NonZero<u32>>,
    /// The longest time for which a decision is reused, without a call, for requests that give the same answers to all that
    /// the plugin asked. The plugin says how long its decision is valid, and this may only be less. A refusal is reused for
    /// one second at most. Reused decisions count for `rate`. Zero to call the plugin about every request. Default: 5
    /// minutes.
    pub reuse_decisions: Duration,
}

impl Limits {
    /// The upper bound of [`Limits::memory`], in bytes: 1 GiB.
    pub const MAX_MEMORY: usize = 1 << 30;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            memory: 64 << 20,
            concurrency: 64,
            cache: 16 << 20,
            rate: None,
            breaker: NonZero::new(5),
            reuse_decisions: Duration::from_secs(300),
        }
    }
}
