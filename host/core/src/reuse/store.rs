//! The decisions of all plugins of an engine, bounded in bytes. What is used most stays.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::key::Hasher;
use super::key::Key;
use super::moment::Moment;
use crate::decision::AttributeRead;
use crate::decision::Ruling;
use crate::lifetime::Lifetime;
use crate::lifetime::OwnLifetime;

/// The most bytes of all decisions together: those of a few hundred thousand tokens.
const MAX_BYTES: u64 = 128 << 20;

/// The approximate size of a decision without its texts, in bytes: its places in the map, two queues and the timer.
const OVERHEAD: usize = 640;

/// A decision for later requests.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) ruling: Ruling,
    /// What the plugin read, without the values.
    pub(crate) reads: Arc<[AttributeRead]>,
    begun: Moment,
    life: Duration,
}

impl Kept {
    pub(super) fn new(ruling: Ruling, reads: &[AttributeRead], begun: Moment, life: Duration) -> Self {
        Self {
            ruling,
            reads: reads.iter().map(AttributeRead::without_values).collect(),
            begun,
            life,
        }
    }

    /// How long ago its call began. `None` if its life is over, or if the clock was set back.
    pub(super) fn age(&self, now: Moment) -> Option<Duration> {
        now.since(self.begun).filter(|age| *age < self.life)
    }

    fn weight(&self) -> u32 {
        let reads = self.reads.len() * (size_of::<AttributeRead>() + 32);
        u32::try_from(OVERHEAD + reads + self.ruling.size()).unwrap_or(u32::MAX)
    }
}

/// Whether its life is over is checked again when it is used, on both clocks.
impl Lifetime for Arc<Kept> {
    fn lifetime(&self) -> Duration {
        self.life
    }
}

/// The decisions of all plugins of an engine.
pub(crate) struct Store {
    decisions: moka::sync::Cache<Key, Arc<Kept>>,
    hasher: Hasher,
    ids: AtomicU64,
    is_paused: AtomicBool,
}

impl Store {
    /// # Errors
    ///
    /// Returns an error if the system has no random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self {
            decisions: moka::sync::Cache::builder()
                .weigher(|_, kept: &Arc<Kept>| kept.weight())
                .max_capacity(MAX_BYTES)
                .expire_after(OwnLifetime)
                .build(),
            hasher: Hasher::new()?,
            ids: AtomicU64::new(0),
            is_paused: AtomicBool::new(false),
        })
    }

    /// Lets no request have the decision of an earlier call, until this is called with `false`.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    pub(super) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.decisions.get(key)
    }

    pub(super) fn insert(&self, key: Key, kept: Kept) {
        self.decisions.insert(key, Arc::new(kept));
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("decisions", &self.decisions.entry_count())
            .finish_non_exhaustive()
    }
}
