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

#[cfg(test)]
mod tests {
    use moka::sync::Cache;

    use super::*;

    #[derive(Clone)]
    struct Life(Duration);

    impl Lifetime for Life {
        fn lifetime(&self) -> Duration {
            self.0
        }
    }

    #[test]
    fn an_entry_lives_for_its_own_time_also_if_it_replaces_another() {
        let cache = Cache::builder().expire_after(OwnLifetime).build();
        let hour = Duration::from_secs(3600);
        for (life, is_found) in [
            (hour, true),
            (Duration::ZERO, false),
            (hour, true),
            (hour, true),
            (Duration::ZERO, false),
        ] {
            cache.insert("same", Life(life));
            assert_eq!(cache.get("same").is_some(), is_found, "{life:?}");
        }
        cache.insert("new", Life(Duration::ZERO));
        assert!(cache.get("new").is_none());
    }
}
