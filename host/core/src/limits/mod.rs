//! What one call of a plugin may cost. Every bound has a default that a good plugin never meets.

mod rate;

use std::num::NonZero;
use std::time::Duration;

pub use self::rate::Rate;
pub use self::rate::RateError;

/// Bounds on the calls of one authenticator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever configures an authenticator")]
pub struct Limits {
    /// How long a call may take, computing and waiting together. Default: 5 seconds, enough for two exchanges with an
    /// identity provider.
    pub deadline: Duration,
    /// How much memory an instance may have, in bytes. Default: 64 MiB; at most 1 GiB.
    pub memory: usize,
    /// How many calls may run at once; one more is answered 503 at once instead of waiting. Default: 64.
    pub concurrency: usize,
    /// How many bytes the authenticator's cache may hold. Default: 16 MiB.
    pub cache: usize,
    /// How often one client may make it run; one more is answered 429. A client is an IPv4 address or an IPv6 network of
    /// 64 bits, and all whose address is unknown are one. Default: as often as it likes.
    pub rate: Option<Rate>,
    /// How many calls for one client may fail in a row before it is answered 503 for a while without a call, at first for
    /// a second and at most for a minute. When three clients were stopped so and nobody was answered since, all are.
    /// Default: 5.
    pub breaker: Option<NonZero<u32>>,
}

impl Limits {
    /// The most memory that any plugin may be given, in bytes.
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
        }
    }
}
