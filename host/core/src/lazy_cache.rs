//! A cache that takes no memory before its first entry. Each authenticator has several, and most of them stay empty: an empty
//! cache of moka has some 40 KiB.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::OnceLock;

use moka::sync::Cache;
use moka::sync::CacheBuilder;

/// Builds the cache for the first entry.
type Build<K, V> = Box<dyn Fn() -> Cache<K, V> + Send + Sync>;

/// A cache of moka that is built when it is first written to.
pub(crate) struct LazyCache<K, V> {
    cache: OnceLock<Cache<K, V>>,
    build: Build<K, V>,
}

impl<K, V> LazyCache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache with the bounds of this builder.
    pub(crate) fn new(builder: impl Fn() -> CacheBuilder<K, V, Cache<K, V>> + Send + Sync + 'static) -> Self {
        Self {
            cache: OnceLock::new(),
            build: Box::new(move || builder().build()),
        }
    }

    /// The value of a key. `None` if there is none.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.cache.get()?.get(key)
    }

    /// Whether there is a value of this key. Asking isn't using it.
    pub(crate) fn contains<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.cache.get().is_some_and(|cache| cache.contains_key(key))
    }

    /// Forgets a key.
    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(cache) = self.cache.get() {
            cache.invalidate(key);
        }
    }

    /// The cache, to look through it. `None` if nothing was ever stored.
    pub(crate) fn stored(&self) -> Option<&Cache<K, V>> {
        self.cache.get()
    }

    /// The cache, to store in it.
    pub(crate) fn open(&self) -> &Cache<K, V> {
        self.cache.get_or_init(&self.build)
    }
}

impl<K, V> std::fmt::Debug for LazyCache<K, V> {
    /// Omits the entries, because they may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyCache")
            .field("is_built", &self.cache.get().is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_built_for_its_first_entry() {
        let cache = LazyCache::<u8, u8>::new(|| Cache::builder().max_capacity(10));
        assert_eq!(cache.get(&1), None);
        cache.remove(&1);
        assert!(cache.stored().is_none());
        cache.open().insert(1, 2);
        assert_eq!((cache.get(&1), cache.contains(&1)), (Some(2), true));
        cache.remove(&1);
        assert_eq!((cache.get(&1), cache.contains(&1)), (None, false));
    }
}
