//! The cache of one authenticator, in which a call stores values for later calls. It is bounded in bytes and not shared
//! with other authenticators.

use std::time::Duration;

use super::HostState;
use crate::contract::portcullis::auth::cache;
use crate::lazy_cache::LazyCache;
use crate::lifetime::Lifetime;
use crate::lifetime::OwnLifetime;

/// The longest key, in bytes.
const MAX_KEY: usize = 256;

/// The largest value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// The approximate size of an entry apart from key and value, in bytes: its places in the map, two queues and the
/// timer.
const OVERHEAD: usize = 512;

/// Values with a time to live. A value that is out of bounds is not stored.
#[derive(Debug)]
pub(crate) struct Cache(LazyCache<String, CachedValue>);

#[derive(Clone, Debug)]
struct CachedValue {
    value: std::sync::Arc<[u8]>,
    ttl: Duration,
}

impl Lifetime for CachedValue {
    fn lifetime(&self) -> Duration {
        self.ttl
    }
}

impl Cache {
    /// A cache of at most this many bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        let weight = |key: &String, entry: &CachedValue| {
            u32::try_from(key.len() + entry.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self(LazyCache::new(move || {
            moka::sync::Cache::builder()
                .weigher(weight)
                .max_capacity(capacity as u64)
                .expire_after(OwnLifetime)
        }))
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key).map(|entry| entry.value.to_vec())
    }

    fn set(&self, key: String, value: Vec<u8>, ttl: Duration) {
        if let Some(entry) = storable(&key, value, ttl) {
            self.0.open().insert(key, entry);
        }
    }

    fn add(&self, key: String, value: Vec<u8>, ttl: Duration) -> bool {
        let Some(entry) = storable(&key, value, ttl) else {
            return true;
        };
        // `or_insert` looks and then inserts, so that two callers could both be told that they were first.
        self.0.open().entry(key).or_insert_with(|| entry).is_fresh()
    }

    fn delete(&self, key: &str) {
        self.0.remove(key);
    }
}

fn storable(key: &str, value: Vec<u8>, ttl: Duration) -> Option<CachedValue> {
    let fits = key.len() <= MAX_KEY && value.len() <= MAX_VALUE && !ttl.is_zero();
    fits.then(|| CachedValue {
        value: value.into(),
        ttl,
    })
}

const CACHE: &str = "the cache";

impl cache::Host for HostState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.used(CACHE);
        Ok(self.cache.as_ref().and_then(|cache| cache.get(&key)))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_seconds: u32) -> wasmtime::Result<()> {
        self.used(CACHE);
        if let Some(cache) = &self.cache {
            cache.set(key, value, Duration::from_secs(ttl_seconds.into()));
        }
        Ok(())
    }

    fn add(&mut self, key: String, value: Vec<u8>, ttl_seconds: u32) -> wasmtime::Result<bool> {
        self.used(CACHE);
        let ttl = Duration::from_secs(ttl_seconds.into());
        Ok(self.cache.as_ref().is_none_or(|cache| cache.add(key, value, ttl)))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.used(CACHE);
        if let Some(cache) = &self.cache {
            cache.delete(&key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_value_is_found_until_it_is_deleted() {
        let cache = Cache::new(1 << 20);
        cache.set("k".into(), b"1".to_vec(), HOUR);
        cache.set("k".into(), b"2".to_vec(), HOUR);
        assert_eq!(cache.get("k").as_deref(), Some(&b"2"[..]));
        cache.delete("k");
        assert_eq!(cache.get("k"), None);
    }

    #[test]
    fn of_concurrent_adds_of_one_key_exactly_one_succeeds() {
        const CALLERS: usize = 4;
        const ROUNDS: usize = 2000;
        let cache = Cache::new(16 << 20);
        let start = std::sync::Barrier::new(CALLERS);
        let told: usize = std::thread::scope(|scope| {
            let add_each_key_together = || {
                (0..ROUNDS)
                    .filter(|round| {
                        start.wait();
                        cache.add(format!("k{round}"), b"v".to_vec(), HOUR)
                    })
                    .count()
            };
            let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(add_each_key_together)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
        });
        assert_eq!(told, ROUNDS);
    }

    #[test]
    fn a_value_out_of_bounds_is_not_stored() {
        let cache = Cache::new(16 << 20);
        for (key, value, ttl) in [
            ("k".repeat(MAX_KEY + 1), Vec::new(), HOUR),
            ("value".to_owned(), vec![0; MAX_VALUE + 1], HOUR),
            ("ttl".to_owned(), Vec::new(), Duration::ZERO),
        ] {
            cache.set(key.clone(), value, ttl);
            assert_eq!(cache.get(&key), None);
        }
    }
}
