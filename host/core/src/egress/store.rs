//! The stored responses of one authenticator, bounded in bytes. They are never returned to other authenticators.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use moka::sync::Cache;

use super::key::Key;
use super::stored::Stored;
use crate::lazy_cache::LazyCache;

/// The size of all stored responses together, in bytes.
const CAPACITY: u64 = 8 << 20;

/// The largest body that is stored, in bytes.
pub(super) const MAX_BODY: usize = 1 << 20;

/// How long a response is stored, whether it is fresh or stale.
const KEPT: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Store(LazyCache<Key, Arc<Stored>>);

impl Store {
    pub(super) fn new() -> Self {
        let size = |_: &Key, stored: &Arc<Stored>| u32::try_from(stored.size()).unwrap_or(u32::MAX);
        Self(LazyCache::new(move || {
            Cache::builder().max_capacity(CAPACITY).weigher(size).time_to_live(KEPT)
        }))
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.0.get(key)
    }

    pub(super) fn put(&self, key: Key, stored: Stored) {
        self.0.open().insert(key, Arc::new(stored));
    }

    pub(super) fn remove(&self, key: &Key) {
        self.0.remove(key);
    }

    /// Invalidates the stored responses for a URI after an unsafe request (RFC 9111, section 4.4).
    pub(super) fn forget(&self, uri: &Uri) {
        let stored = self.0.stored().into_iter().flat_map(Cache::iter);
        for (key, _) in stored.filter(|(key, _)| key.uri == *uri) {
            self.0.remove(&*key);
        }
    }
}
