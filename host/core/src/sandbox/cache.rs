//! The cache of one configured plugin, in which a call stores values for later calls. It is bounded in bytes and not shared with other
//! plugins; the same plugin of other processes may share it.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use super::HostState;
use super::clock::Clock;
use super::scheduler::ComputePermit;
use crate::contract::portcullis::auth::cache;
use crate::lazy_cache::LazyCache;
use crate::lifetime::Lifetime;
use crate::lifetime::OwnLifetime;
use crate::shared::Operation;
use crate::shared::Patience;
use crate::shared::SharedPlace;
use crate::shared::SharedState;

/// The longest key, in bytes.
const MAX_KEY: usize = 256;

/// The largest value, in bytes.
const MAX_VALUE: usize = 1 << 20;

/// The approximate size of an entry apart from key and value, in bytes: its places in the map, two queues and the
/// timer.
const OVERHEAD: usize = 512;

/// Values with a time to live. A value that is out of bounds is not stored.
///
/// If the engine shares state, the values are in its store, and here are copies: young ones spare a question to the store, and older
/// ones serve while the store is lost.
#[derive(Debug)]
pub(crate) struct Cache {
    values: LazyCache<String, CachedValue>,
    shared: SharedPlace,
    /// Tells its values from those of all other plugins.
    namespace: String,
}

#[derive(Clone, Debug)]
struct CachedValue {
    value: Arc<[u8]>,
    life: Duration,
    /// Until when it stands for the one in the store. `None` if it was stored without.
    near_until: Option<Instant>,
}

impl Lifetime for CachedValue {
    fn lifetime(&self) -> Duration {
        self.life
    }
}

/// What the copies of this process say about a key.
enum Near {
    /// The value. `None` if there is none.
    Known(Option<Vec<u8>>),
    /// Nothing that counts: the store has to be asked.
    Ask(Arc<SharedState>),
}

impl Cache {
    /// A cache of at most this many bytes. Another process has the same one if its engine shares the state and its namespace is the
    /// same.
    pub(crate) fn new(capacity: usize, shared: SharedPlace, namespace: &str) -> Self {
        let weight = |key: &String, entry: &CachedValue| {
            u32::try_from(key.len() + entry.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        let values = LazyCache::new(move || {
            moka::sync::Cache::builder()
                .weigher(weight)
                .max_capacity(capacity as u64)
                .expire_after(OwnLifetime)
        });
        Self {
            values,
            shared,
            namespace: format!("cache {namespace}"),
        }
    }

    fn near(&self, key: &str) -> Near {
        let found = self.values.get(key);
        let Some(shared) = self.shared.of_caches().filter(|_| key.len() <= MAX_KEY) else {
            return Near::Known(found.map(|entry| entry.value.to_vec()));
        };
        match found.filter(|entry| entry.near_until.is_some_and(|until| Instant::now() < until)) {
            Some(entry) => {
                shared.found_near();
                Near::Known(Some(entry.value.to_vec()))
            }
            None => Near::Ask(shared),
        }
    }

    async fn fetch(&self, key: String, shared: &SharedState, patience: &mut Patience) -> Option<Vec<u8>> {
        let name = self.name(&key);
        let answer = shared.ask(Operation::Get, patience, |store| store.get(name)).await;
        let Some(answer) = answer else {
            return self.values.get(&key).map(|entry| entry.value.to_vec());
        };
        let Some((value, life)) = answer.and_then(unpacked) else {
            self.values.remove(&key);
            return None;
        };
        let entry = entry(value, life, Some(shared));
        let value = entry.value.to_vec();
        self.values.open().insert(key, entry);
        Some(value)
    }

    async fn set(&self, key: String, value: Vec<u8>, life: Duration, patience: &mut Patience) {
        if !is_storable(&key, &value, life) {
            return;
        }
        let shared = self.shared.of_caches();
        let mut is_there = false;
        if let Some(shared) = &shared {
            let (name, packed) = (self.name(&key), packed(&value, life));
            let set = shared.ask(Operation::Set, patience, |store| store.set(name, packed, life));
            is_there = set.await.is_some();
        }
        let shared = shared.as_deref().filter(|_| is_there);
        self.values.open().insert(key, entry(value, life, shared));
    }

    async fn add(&self, key: String, value: Vec<u8>, life: Duration, patience: &mut Patience) -> bool {
        if !is_storable(&key, &value, life) {
            return true;
        }
        if let Some(shared) = self.shared.of_caches() {
            let (name, packed) = (self.name(&key), packed(&value, life));
            let added = shared.ask(Operation::Add, patience, |store| store.add(name, packed, life));
            match added.await {
                Some(true) => {
                    self.values.open().insert(key, entry(value, life, Some(&shared)));
                    return true;
                }
                Some(false) => return false,
                None => {}
            }
        }
        // `or_insert` looks and then inserts, so that two callers could both be told that they were first.
        let added = self
            .values
            .open()
            .entry(key)
            .or_insert_with(|| entry(value, life, None));
        added.is_fresh()
    }

    async fn delete(&self, key: &str, patience: &mut Patience) {
        self.values.remove(key);
        if let Some(shared) = self.shared.of_caches() {
            let name = self.name(key);
            let _ = shared
                .ask(Operation::Delete, patience, |store| store.delete(name))
                .await;
        }
    }

    fn name(&self, key: &str) -> String {
        format!("{} {key}", self.namespace)
    }
}

fn is_storable(key: &str, value: &[u8], life: Duration) -> bool {
    key.len() <= MAX_KEY && value.len() <= MAX_VALUE && !life.is_zero()
}

/// An entry, whose value is in the store of this shared state, too, unless that is `None`.
fn entry(value: Vec<u8>, life: Duration, shared: Option<&SharedState>) -> CachedValue {
    CachedValue {
        value: value.into(),
        life,
        near_until: shared.and_then(|shared| Instant::now().checked_add(shared.options().near)),
    }
}

/// A value as it is stored for other processes: after the time when it is over, in milliseconds since 1970.
fn packed(value: &[u8], life: Duration) -> Vec<u8> {
    let over = millis(since_1970().saturating_add(life));
    [&over.to_be_bytes(), value].concat()
}

/// A value that a process has stored, and how long it is still valid. `None` if it is over, whatever its store says.
fn unpacked(stored: Vec<u8>) -> Option<(Vec<u8>, Duration)> {
    let (over, value) = stored.split_first_chunk()?;
    let left = u64::from_be_bytes(*over).checked_sub(millis(since_1970()))?;
    (left > 0).then(|| (value.to_vec(), Duration::from_millis(left)))
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const CACHE: &str = "the cache";

/// Waits for something that a cache does. What it does in this process alone is done at once.
async fn waited<T>(
    clock: Clock,
    permit: &ComputePermit,
    cache: &Cache,
    done: impl Future<Output = T>,
) -> wasmtime::Result<T> {
    match cache.shared.of_caches() {
        Some(_) => clock.wait(permit, done).await,
        None => Ok(done.await),
    }
}

impl cache::Host for HostState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.used(CACHE);
        let Some(cache) = &self.cache else { return Ok(None) };
        match cache.near(&key) {
            Near::Known(value) => Ok(value),
            Near::Ask(shared) => {
                let fetched = Box::pin(cache.fetch(key, &shared, &mut self.patience));
                self.clock.wait(&self.permit, fetched).await
            }
        }
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl_seconds: u32) -> wasmtime::Result<()> {
        self.used(CACHE);
        let Some(cache) = &self.cache else { return Ok(()) };
        let life = Duration::from_secs(ttl_seconds.into());
        let set = Box::pin(cache.set(key, value, life, &mut self.patience));
        waited(self.clock, &self.permit, cache, set).await
    }

    async fn add(&mut self, key: String, value: Vec<u8>, ttl_seconds: u32) -> wasmtime::Result<bool> {
        self.used(CACHE);
        let Some(cache) = &self.cache else { return Ok(true) };
        let life = Duration::from_secs(ttl_seconds.into());
        let added = Box::pin(cache.add(key, value, life, &mut self.patience));
        waited(self.clock, &self.permit, cache, added).await
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.used(CACHE);
        let Some(cache) = &self.cache else { return Ok(()) };
        let deleted = Box::pin(cache.delete(&key, &mut self.patience));
        waited(self.clock, &self.permit, cache, deleted).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn cache(capacity: usize) -> Cache {
        Cache::new(capacity, SharedPlace::default(), "p")
    }

    impl Cache {
        fn here(&self, key: &str) -> Option<Vec<u8>> {
            match self.near(key) {
                Near::Known(value) => value,
                Near::Ask(_) => None,
            }
        }
    }

    #[tokio::test]
    async fn a_value_is_found_until_it_is_deleted() {
        let cache = cache(1 << 20);
        let patience = &mut Patience::default();
        cache.set("k".into(), b"1".to_vec(), HOUR, patience).await;
        cache.set("k".into(), b"2".to_vec(), HOUR, patience).await;
        assert_eq!(cache.here("k").as_deref(), Some(&b"2"[..]));
        cache.delete("k", patience).await;
        assert_eq!(cache.here("k"), None);
    }

    #[test]
    fn of_concurrent_adds_of_one_key_exactly_one_succeeds() {
        const CALLERS: usize = 4;
        const ROUNDS: usize = 2000;
        let cache = cache(16 << 20);
        let start = std::sync::Barrier::new(CALLERS);
        let add = |round| {
            let mut patience = Patience::default();
            let added = cache.add(format!("k{round}"), b"v".to_vec(), HOUR, &mut patience);
            futures_util::FutureExt::now_or_never(added) == Some(true)
        };
        let told: usize = std::thread::scope(|scope| {
            let add_each_key_together = || {
                (0..ROUNDS)
                    .filter(|round| {
                        start.wait();
                        add(*round)
                    })
                    .count()
            };
            let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(add_each_key_together)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
        });
        assert_eq!(told, ROUNDS);
    }

    #[tokio::test]
    async fn a_value_out_of_bounds_is_not_stored() {
        let cache = cache(16 << 20);
        for (key, value, life) in [
            ("k".repeat(MAX_KEY + 1), Vec::new(), HOUR),
            ("value".to_owned(), vec![0; MAX_VALUE + 1], HOUR),
            ("life".to_owned(), Vec::new(), Duration::ZERO),
        ] {
            cache.set(key.clone(), value, life, &mut Patience::default()).await;
            assert_eq!(cache.here(&key), None);
        }
    }

    #[test]
    fn a_stored_value_is_valid_until_its_own_time_is_over() {
        let (value, left) = unpacked(packed(b"v", HOUR)).unwrap();
        assert_eq!(value, b"v");
        assert!(left <= HOUR && left > HOUR - Duration::from_secs(60), "{left:?}");
        for stored in [
            packed(b"v", Duration::ZERO),
            Vec::new(),
            vec![0xff; 7],
            1_u64.to_be_bytes().to_vec(),
        ] {
            assert_eq!(unpacked(stored.clone()), None, "{stored:?}");
        }
    }
}
