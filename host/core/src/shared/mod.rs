//! State that several processes share, in a store outside of them: the caches of plugins and the rates of clients. Its loss costs a
//! request a bounded time once, and then nothing: each process goes on by itself until the store answers again.

mod meters;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::time::timeout;

use self::meters::Meters;

pub(crate) use self::meters::Operation;
pub use self::store::LogEntry;
pub use self::store::LogPosition;
pub use self::store::SharedStore;
pub use self::store::StoreError;
pub use self::store::StoreFuture;

/// A store, with what it is used for and how long requests wait for it.
pub struct SharedState {
    store: Arc<dyn SharedStore>,
    options: SharedOptions,
    /// Whether the store has failed and hasn't answered since.
    is_lost: AtomicBool,
    meters: Meters,
    /// When the log has last said that the store refuses something.
    told: Mutex<Option<Instant>>,
    this: Weak<Self>,
}

/// How a [`SharedState`] is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SharedOptions {
    /// How long one call of a plugin waits for the store altogether. Default, and at most: 50 ms.
    pub patience: Duration,
    /// For how long a value is taken from this process that it has got from the store, or has stored there. Another process may
    /// replace or delete it in that time. Default: 5 s.
    pub near: Duration,
    /// Whether plugins' caches are shared. Default: yes.
    pub caches: bool,
    /// Whether the rates of clients are shared. Default: yes.
    pub rates: bool,
}

impl SharedOptions {
    /// The upper bound of [`patience`](Self::patience).
    pub const MAX_PATIENCE: Duration = Duration::from_millis(50);
}

impl Default for SharedOptions {
    fn default() -> Self {
        Self {
            patience: Self::MAX_PATIENCE,
            near: Duration::from_secs(5),
            caches: true,
            rates: true,
        }
    }
}

impl SharedState {
    /// State in this store. Values are written as they are: see [`SealedStore`](crate::session::SealedStore).
    pub fn new(store: Arc<dyn SharedStore>, options: SharedOptions) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            store,
            options: SharedOptions {
                patience: options.patience.min(SharedOptions::MAX_PATIENCE),
                ..options
            },
            is_lost: AtomicBool::new(false),
            meters: Meters::new(),
            told: Mutex::new(None),
            this: this.clone(),
        })
    }

    /// Whether the store has failed and hasn't answered since. Nothing waits for it then.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// How it is used.
    pub fn options(&self) -> &SharedOptions {
        &self.options
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn SharedStore> {
        &self.store
    }

    /// Asks the store, for as long as a call has patience. Returns `None` if the store doesn't answer, or refuses.
    pub(crate) async fn ask<'a, T>(
        &'a self,
        operation: Operation,
        patience: &mut Patience,
        ask: impl FnOnce(&'a dyn SharedStore) -> StoreFuture<'a, T>,
    ) -> Option<T> {
        if self.is_lost() {
            return None;
        }
        let begun = Instant::now();
        let left = self.options.patience.saturating_sub(patience.used);
        let answer = timeout(left, ask(&*self.store)).await;
        let took = begun.elapsed();
        patience.used += took;
        self.meters.asked(operation, took, matches!(answer, Ok(Ok(_))));
        match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(StoreError::Refused(why))) => self.refused(&why),
            Ok(Err(StoreError::Lost(why))) => self.lose(&why),
            Err(_) => self.lose(&format!(
                "it did not answer within {} ms",
                self.options.patience.as_millis()
            )),
        }
        None
    }

    /// Counts a value that was near enough.
    pub(crate) fn found_near(&self) {
        self.meters.near.increment(1);
    }

    /// Lets nothing wait for the store until it answers again.
    fn lose(&self, why: &str) {
        if self.is_lost.swap(true, Ordering::Relaxed) {
            return;
        }
        self.meters.up.set(0.0);
        tracing::warn!(
            why,
            "the shared state is lost: until it is back, caches of plugins and rates of clients are those of this process alone"
        );
        tokio::spawn(come_back(self.this.clone()));
    }

    fn refused(&self, why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() > TOLD_AGAIN) {
            *told = Some(Instant::now());
            tracing::warn!(
                why,
                "the shared state refuses what it is asked; this process goes on by itself"
            );
        }
    }
}

/// Tries a lost store until it answers.
async fn come_back(state: Weak<SharedState>) {
    let lost = Instant::now();
    loop {
        tokio::time::sleep(TRIED_AGAIN).await;
        let Some(state) = state.upgrade() else { return };
        if matches!(timeout(state.options.patience, state.store.ping()).await, Ok(Ok(()))) {
            state.is_lost.store(false, Ordering::Relaxed);
            state.meters.up.set(1.0);
            let lost = humantime::format_duration(Duration::from_secs(lost.elapsed().as_secs()));
            tracing::info!(lost_for = %lost, "the shared state is back");
            return;
        }
    }
}

/// How long a call has waited for the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    used: Duration,
}

/// The shared state of an engine, which may change. A clone is the same place.
#[derive(Clone, Default)]
pub(crate) struct SharedPlace(Arc<ArcSwapOption<SharedState>>);

impl SharedPlace {
    pub(crate) fn set(&self, state: Option<Arc<SharedState>>) {
        self.0.store(state);
    }

    /// The state, if caches are shared and there is no need to go on without.
    pub(crate) fn of_caches(&self) -> Option<Arc<SharedState>> {
        self.of(|options| options.caches)
    }

    /// The state, if rates are shared and there is no need to go on without.
    pub(crate) fn of_rates(&self) -> Option<Arc<SharedState>> {
        self.of(|options| options.rates)
    }

    fn of(&self, uses: fn(&SharedOptions) -> bool) -> Option<Arc<SharedState>> {
        let state = self.0.load();
        let state = state.as_ref()?;
        (uses(&state.options) && !state.is_lost()).then(|| Arc::clone(state))
    }
}

impl fmt::Debug for SharedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedPlace").field(&self.0.load().is_some()).finish()
    }
}

impl fmt::Debug for SharedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedState")
            .field("options", &self.options)
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// How often a lost store is tried.
const TRIED_AGAIN: Duration = Duration::from_millis(500);

/// How often the log says at most that a store refuses something.
const TOLD_AGAIN: Duration = Duration::from_secs(60);
