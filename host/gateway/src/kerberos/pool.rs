//! The helpers of one acceptor. They are started on demand up to a maximum, and restarted with exponential backoff if they
//! keep failing.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use portcullis_negotiate_frame::Answer;
use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::launch::Launch;
use super::worker::Worker;

/// The idle and busy helpers.
pub(super) struct HelperPool {
    launch: Launch,
    workers: usize,
    permits: Semaphore,
    starts: Arc<Semaphore>,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Worker>,
    failures: u32,
    retry_at: Option<Instant>,
}

impl HelperPool {
    pub(super) fn new(launch: Launch, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            launch,
            workers,
            permits: Semaphore::new(workers),
            starts: Arc::new(Semaphore::new(workers)),
            state: Mutex::default(),
        })
    }

    /// Starts the first helper, so that its errors are known before the first request.
    pub(super) async fn start_first(&self) -> Result<(), String> {
        self.put_back(Worker::start(&self.launch).await?);
        Ok(())
    }

    /// Asks a helper. `limit` applies twice: to the wait for a free helper, and to its answer. A helper that exceeds the
    /// limit may be stuck, so it is killed.
    pub(super) async fn ask(self: &Arc<Self>, question: &[u8], limit: Duration) -> Result<Answer, String> {
        let permit = timeout(limit, self.permits.acquire()).await;
        let _permit = permit
            .map_err(|_| "no helper was free in time")?
            .map_err(|error| error.to_string())?;
        match timeout(limit, self.ask_worker(question)).await {
            Ok(answer) => answer,
            Err(_) => Err("the helper didn't answer in time".to_owned()),
        }
    }

    async fn ask_worker(self: &Arc<Self>, question: &[u8]) -> Result<Answer, String> {
        let mut worker = match self.take_idle() {
            Some(worker) => worker,
            None => self.start().await?,
        };
        match worker.exchange(question).await {
            Ok(answer) => {
                self.put_back(worker);
                let mut state = self.state();
                (state.failures, state.retry_at) = (0, None);
                Ok(answer)
            }
            Err(error) => {
                drop(worker);
                self.record_failure();
                let acceptor = &self.launch.acceptor;
                tracing::warn!(acceptor, why = %error, "a helper failed while it checked a token");
                Err("the helper failed".to_owned())
            }
        }
    }

    /// Takes an idle helper. Helpers that have exited are dropped.
    fn take_idle(&self) -> Option<Worker> {
        let mut state = self.state();
        while let Some(worker) = state.idle.pop() {
            if worker.is_idle() {
                return Some(worker);
            }
        }
        None
    }

    /// Starts a helper. If the caller gives up meanwhile, the helper is kept for the next token.
    async fn start(self: &Arc<Self>) -> Result<Worker, String> {
        let retry_at = self.state().retry_at;
        if retry_at.is_some_and(|retry_at| Instant::now() < retry_at) {
            return Err("helpers keep failing, so no new one is started for the moment".to_owned());
        }
        let start = Arc::clone(&self.starts).try_acquire_owned();
        let start = start.map_err(|_| "all helpers are still starting")?;
        let pool = Arc::clone(self);
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let started = Worker::start(&pool.launch).await;
            drop(start);
            if started.is_err() {
                pool.record_failure();
            }
            if let Err(Ok(worker)) = sender.send(started) {
                pool.put_back(worker);
            }
        });
        receiver.await.map_err(|error| error.to_string())?
    }

    fn put_back(&self, worker: Worker) {
        let mut state = self.state();
        if state.idle.len() < self.workers {
            state.idle.push(worker);
        }
    }

    /// The first failures have no consequence. After that, each failure in a row doubles the delay before the next start.
    fn record_failure(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let doublings = state.failures.checked_sub(FREE_FAILURES);
        let backoff =
            doublings.map(|doublings| INITIAL_BACKOFF.saturating_mul(1 << doublings.min(10)).min(MAX_BACKOFF));
        state.retry_at = backoff.map(|backoff| Instant::now() + backoff);
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After this many failures in a row, starts are delayed.
const FREE_FAILURES: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
