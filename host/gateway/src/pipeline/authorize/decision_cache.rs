//! Answers that upstreams gave about users, kept for a short while. Whoever asks what is being asked already waits for
//! that answer.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::Verdict;

/// Verdicts by what they depend on, within bounds.
#[derive(Debug)]
pub(super) struct DecisionCache(Cache<String, Arc<OnceCell<Answer>>>);

/// What was answered, and how long it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    until: Instant,
}

impl Answer {
    pub(super) fn new(verdict: Verdict, kept: Duration) -> Self {
        Self {
            verdict,
            until: Instant::now() + kept,
        }
    }

    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

impl DecisionCache {
    pub(super) fn new() -> Self {
        let weight = |key: &String, _: &Arc<OnceCell<Answer>>| u32::try_from(key.len() + OVERHEAD).unwrap_or(u32::MAX);
        let cache = Cache::builder()
            .weigher(weight)
            .max_capacity(CAPACITY)
            .time_to_live(LONGEST)
            .build();
        Self(cache)
    }

    /// The verdict that is kept, or else the one that `ask` comes to, and whether it was kept. An answer that doesn't last
    /// serves those who wait for it, and nobody after.
    pub(super) async fn get(&self, key: String, ask: impl Future<Output = Answer>) -> (Verdict, bool) {
        let is_over = |cell: &Arc<OnceCell<Answer>>| cell.get().is_some_and(Answer::is_over);
        let cell = self.0.entry(key).or_insert_with_if(Arc::default, is_over).into_value();
        let mut asked = false;
        let answer = cell
            .get_or_init(|| {
                asked = true;
                ask
            })
            .await;
        (answer.verdict, !asked)
    }
}

/// What an entry takes beside its key, in bytes.
const OVERHEAD: usize = 256;
/// All entries together, in bytes.
const CAPACITY: u64 = 16 * 1024 * 1024;
/// Longer than any answer counts.
const LONGEST: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use super::*;

    async fn asked(kept: &DecisionCache, count: &AtomicUsize, key: &str, span: Duration) -> bool {
        let ask = async {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Answer::new(Verdict::Allow, span)
        };
        !kept.get(key.to_owned(), ask).await.1
    }

    #[tokio::test]
    async fn many_who_ask_at_once_are_one_question() {
        let (kept, count) = (DecisionCache::new(), AtomicUsize::new(0));
        let many = (0..20).map(|_| asked(&kept, &count, "a", Duration::ZERO));
        let fresh = futures_util::future::join_all(many).await;
        assert_eq!(fresh.iter().filter(|fresh| **fresh).count(), 1);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(
            asked(&kept, &count, "a", Duration::ZERO).await,
            "the answer was for those who waited"
        );
    }

    #[tokio::test]
    async fn an_answer_counts_as_long_as_it_says() {
        let (kept, count) = (DecisionCache::new(), AtomicUsize::new(0));
        assert!(asked(&kept, &count, "a", Duration::from_secs(60)).await);
        assert!(!asked(&kept, &count, "a", Duration::from_secs(60)).await);
        assert!(
            asked(&kept, &count, "b", Duration::from_secs(60)).await,
            "another question is another entry"
        );
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_question_to_the_next() {
        let (kept, count) = (Arc::new(DecisionCache::new()), Arc::new(AtomicUsize::new(0)));
        let hanging = kept.get("a".to_owned(), std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(20), hanging).await.is_err());
        assert!(asked(&kept, &count, "a", Duration::from_secs(60)).await);
    }
}
