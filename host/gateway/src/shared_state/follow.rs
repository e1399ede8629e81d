//! Tells other gateways through the shared state what was revoked here, and hears what was revoked there. After a loss everything is
//! compared anew: what either side has missed is told then, also if the server has come back empty.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis::Engine;
use portcullis::session::Revocation;
use portcullis::session::Revocations;
use portcullis::shared::LogEntry;
use portcullis::shared::LogPosition;
use portcullis::shared::SharedStore;
use portcullis::shared::StoreError;
use portcullis::shared::StoreFuture;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Shared;
use super::certainty::GIVEN_UP;
use super::certainty::Known;
use super::certainty::NOTICED;
use super::certainty::decide;
use super::certainty::judge;

/// The shared state that is followed. `None` inside if there is none.
#[derive(Default)]
pub(crate) struct Followed {
    following: Mutex<Option<Following>>,
    /// Whether the process has had a chance to hear what others have revoked.
    has_listened: AtomicBool,
}

struct Following {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Revocation>,
    overflow: Arc<AtomicBool>,
    known: Arc<Known>,
    tasks: [AbortHandle; 2],
    list: Arc<Revocations>,
    engine: Engine,
}

impl Followed {
    /// Follows this one from now on, and that of before no more. The plugins of this engine reuse no decisions while it isn't known what was
    /// revoked.
    pub(crate) fn apply(&self, shared: Option<&Arc<Shared>>, list: &Arc<Revocations>, engine: &Engine) {
        let mut following = self.following();
        let is_same = |own: &Following| shared.is_some_and(|shared| Arc::ptr_eq(&own.shared, shared));
        if !following.as_ref().is_some_and(is_same) {
            // Before the next one judges.
            *following = None;
            // Sessions that are accepted at the time of a reload are accepted meanwhile.
            let is_certain = self.has_listened.load(Ordering::Relaxed);
            *following = shared.map(|shared| Following::begin(shared, list, engine, is_certain));
        }
    }

    /// Waits until this gateway knows what others have revoked, or gives the server up. Call this before it serves requests.
    pub(crate) async fn listened(&self) {
        let following = self
            .following()
            .as_ref()
            .map(|own| (Arc::clone(&own.known), Arc::clone(&own.list), own.engine.clone()));
        if let Some((known, list, engine)) = following
            // If it is given up without a word, the judge has said what that means.
            && timeout(GIVEN_UP, known.heard()).await.is_ok()
        {
            decide(&list, &engine, false);
        }
        self.has_listened.store(true, Ordering::Relaxed);
    }

    /// Tells others of a revocation soon.
    pub(crate) fn tell(&self, revocation: Revocation) {
        if let Some(own) = &*self.following()
            && own.queue.try_send(revocation).is_err()
        {
            own.overflow.store(true, Ordering::Relaxed);
        }
    }

    fn following(&self) -> MutexGuard<'_, Option<Following>> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Following {
    fn begin(shared: &Arc<Shared>, list: &Arc<Revocations>, engine: &Engine, is_certain: bool) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let overflow = Arc::new(AtomicBool::new(false));
        let known = Arc::new(Known::default());
        let follower = Follower {
            store: Arc::clone(shared.state.store()),
            list: Arc::clone(list),
            waiting,
            overflow: Arc::clone(&overflow),
            known: Arc::clone(&known),
        };
        decide(list, engine, !is_certain);
        let bound = shared.stale_revocations.max(NOTICED);
        let judge = judge(Arc::clone(&known), bound, Arc::clone(list), engine.clone());
        Self {
            shared: Arc::clone(shared),
            queue,
            overflow,
            known,
            tasks: [tokio::spawn(follower.run()), tokio::spawn(judge)].map(|task| task.abort_handle()),
            list: Arc::clone(list),
            engine: engine.clone(),
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        decide(&self.list, &self.engine, false);
    }
}

/// What the task has that tells and hears.
struct Follower {
    store: Arc<dyn SharedStore>,
    list: Arc<Revocations>,
    waiting: mpsc::Receiver<Revocation>,
    overflow: Arc<AtomicBool>,
    known: Arc<Known>,
}

impl Follower {
    async fn run(mut self) {
        let mut is_told = false;
        loop {
            let why = match self.follow(&mut is_told).await {
                Ok(()) => return,
                Err(why) => why,
            };
            if !is_told {
                is_told = true;
                tracing::warn!(
                    why = %why,
                    "the shared state doesn't say what other gateways revoke, and they aren't told what this one does"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns when there is nothing more to tell, because the gateway follows something else.
    async fn follow(&mut self, is_told: &mut bool) -> Result<(), StoreError> {
        let mut after = self.compare().await?;
        if std::mem::take(is_told) {
            tracing::info!("the shared state says again what other gateways revoke");
        }
        let store = Arc::clone(&self.store);
        let mut reading = read(&*store, after.clone(), HEARTBEAT);
        let mut told = Vec::new();
        loop {
            tokio::select! {
                entries = &mut reading => {
                    self.hear(&entries?, &mut after);
                    self.known.now();
                    reading = read(&*store, after.clone(), HEARTBEAT);
                }
                received = self.waiting.recv_many(&mut told, AT_ONCE) => {
                    if received == 0 {
                        return Ok(());
                    }
                    // Each of them is in the list, and the next comparison finds it if this fails.
                    self.append(&told).await?;
                    told.clear();
                }
            }
            if self.overflow.swap(false, Ordering::Relaxed) {
                return Err(StoreError::Refused(
                    "more was revoked than could be told one by one".to_owned(),
                ));
            }
        }
    }

    /// Hears everything that others have told, and tells what of this gateway isn't there. Returns the end of the log.
    async fn compare(&mut self) -> Result<Option<LogPosition>, StoreError> {
        while self.waiting.try_recv().is_ok() {}
        let own = self.list.entries_for_others();
        let mut after = None;
        let mut there = HashMap::new();
        loop {
            let entries = read(&*self.store, after.clone(), Duration::ZERO).await?;
            if entries.is_empty() {
                break;
            }
            for revocation in self.hear(&entries, &mut after) {
                let until = there.entry(revocation.key).or_insert(0);
                *until = revocation.begun_until.max(*until);
            }
        }
        let is_missing = |own: &Revocation| there.get(&own.key).is_none_or(|until| *until < own.begun_until);
        let missing = Vec::from_iter(own.into_iter().filter(is_missing));
        for some in missing.chunks(AT_ONCE) {
            self.append(some).await?;
        }
        self.known.now();
        Ok(after)
    }

    fn hear(&self, entries: &[LogEntry], after: &mut Option<LogPosition>) -> Vec<Revocation> {
        let told = entries.iter().filter_map(|entry| Revocation::decode(&entry.bytes));
        let told = Vec::from_iter(told.flatten());
        for revocation in &told {
            self.list.hear(*revocation);
        }
        if let Some(last) = entries.last() {
            *after = Some(last.position.clone());
        }
        told
    }

    async fn append(&self, some: &[Revocation]) -> Result<(), StoreError> {
        let (most, max_age) = self.list.bounds();
        let (log, entry) = (LOG.to_owned(), Revocation::encode(some));
        // The log is longer than a gateway's list. A gateway that reads all of it drops the oldest entries, and so ends all sessions
        // that are as old.
        let appended = self.store.append(log, entry, max_age, most.saturating_add(MARGIN));
        timeout(ANSWER, appended).await.unwrap_or_else(|_| Err(silent()))
    }
}

fn read(store: &dyn SharedStore, after: Option<LogPosition>, wait: Duration) -> StoreFuture<'_, Vec<LogEntry>> {
    let entries = store.read(LOG.to_owned(), after, wait);
    Box::pin(async move {
        let read = timeout(wait + ANSWER, entries).await;
        read.unwrap_or_else(|_| Err(silent()))
    })
}

fn silent() -> StoreError {
    StoreError::Lost(format!("it did not answer within {} s", ANSWER.as_secs()))
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followed")
    }
}

/// The log of all gateways.
const LOG: &str = "revocations";

/// How long the server waits before it answers that nothing was revoked.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long it may take to answer beside that.
const ANSWER: Duration = Duration::from_secs(2);

/// After how long a server is tried again that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// How many revocations may wait to be told. If there are more, everything is compared.
const MAX_WAITING: usize = 1024;

/// How many are told in one entry.
const AT_ONCE: usize = 200;

/// How many entries a log has beyond the bound of a gateway's list.
const MARGIN: usize = 1000;
