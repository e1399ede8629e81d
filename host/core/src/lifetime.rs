//! Cache entries that each live for a time of their own.

use std::time::Duration;
use std::time::Instant;

use moka::Expiry;

/// An entry that says how long it lives.
pub(crate) trait Lifetime {
    /// How long, from the moment at which it is stored.
    fn lifetime(&self) -> Duration;
}

/// Removes an entry when its life is over. An entry that replaces another one lives for its own time.
pub(crate) struct OwnLifetime;

impl<K, V: Lifetime> Expiry<K, V> for OwnLifetime {
    fn expire_after_create(&self, _: &K, entry: &V, _: Instant) -> Option<Duration> {
        Some(entry.lifetime())
    }

    fn expire_after_update(&self, _: &K, entry: &V, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.lifetime())
    }
}
