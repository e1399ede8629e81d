//! A cache of the upstreams' verdicts about users. Concurrent identical checks share one request.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::verdict::UpstreamVerdict;

/// Verdicts by everything that they depend on, up to a total size.
#[derive(Debug)]
pub(super) struct DecisionCache(Cache<String, Arc<OnceCell<CachedVerdict>>>);

/// A verdict, and when it expires.
#[derive(Clone, Debug)]
pub(super) struct CachedVerdict {
    pub(super) verdict: UpstreamVerdict,
    expires: Instant,
}

impl CachedVerdict {
    pub(super) fn new(verdict: UpstreamVerdict, lifetime: Duration) -> Self {
        Self {
            verdict,
            expires: Instant::now() + lifetime,
        }
    }

    fn is_expired(&self) -> bool {
        self.expires <= Instant::now()
    }
}

impl DecisionCache {
    pub(super) fn new() -> Self {
        let weight =
            |key: &String, _: &Arc<OnceCell<CachedVerdict>>| u32::try_from(key.len() + OVERHEAD).unwrap_or(u32::MAX);
        let cache = Cache::builder()
            .weigher(weight)
            .max_capacity(CAPACITY)
            .time_to_live(MAX_LIFETIME)
            .build();
        Self(cache)
    }

    /// Returns the cached verdict for `key`, or else the result of `check`, and whether the verdict was cached.
    ///
    /// A verdict without a lifetime is shared with the requests that already wait for it, but not with later ones.
    pub(super) async fn get<F>(&self, key: String, check: impl FnOnce() -> F) -> (UpstreamVerdict, bool)
    where
        F: Future<Output = CachedVerdict>,
    {
        let is_expired = |cell: &Arc<OnceCell<CachedVerdict>>| cell.get().is_some_and(CachedVerdict::is_expired);
        let cell = self
            .0
            .entry(key)
            .or_insert_with_if(Arc::default, is_expired)
            .into_value();
        let mut is_new = false;
        let answer = cell
            .get_or_init(|| {
                is_new = true;
                check()
            })
            .await;
        (answer.verdict.clone(), !is_new)
    }
}

/// The size of an entry without its key, in bytes.
const OVERHEAD: usize = 256;
/// The size of all entries together, in bytes.
const CAPACITY: u64 = 16 * 1024 * 1024;
/// Longer than the lifetime of any verdict.
const MAX_LIFETIME: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use super::*;

    async fn runs_check(cache: &DecisionCache, count: &AtomicUsize, key: &str, span: Duration) -> bool {
        let check = || async {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            CachedVerdict::new(UpstreamVerdict::Allow, span)
        };
        !cache.get(key.to_owned(), check).await.1
    }

    #[tokio::test]
    async fn concurrent_identical_checks_share_one_request() {
        let (cache, count) = (DecisionCache::new(), AtomicUsize::new(0));
        let many = (0..20).map(|_| runs_check(&cache, &count, "a", Duration::ZERO));
        let fresh = futures_util::future::join_all(many).await;
        assert_eq!(fresh.iter().filter(|fresh| **fresh).count(), 1);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(
            runs_check(&cache, &count, "a", Duration::ZERO).await,
            "a verdict without a lifetime must not be cached"
        );
    }

    #[tokio::test]
    async fn a_verdict_is_cached_for_its_lifetime() {
        let (cache, count) = (DecisionCache::new(), AtomicUsize::new(0));
        assert!(runs_check(&cache, &count, "a", Duration::from_secs(60)).await);
        assert!(!runs_check(&cache, &count, "a", Duration::from_secs(60)).await);
        assert!(
            runs_check(&cache, &count, "b", Duration::from_secs(60)).await,
            "another key has its own entry"
        );
    }

    #[tokio::test]
    async fn a_check_that_was_cancelled_is_repeated_by_the_next_request() {
        let (cache, count) = (Arc::new(DecisionCache::new()), Arc::new(AtomicUsize::new(0)));
        let hanging = cache.get("a".to_owned(), std::future::pending);
        assert!(tokio::time::timeout(Duration::from_millis(20), hanging).await.is_err());
        assert!(runs_check(&cache, &count, "a", Duration::from_secs(60)).await);
    }
}
