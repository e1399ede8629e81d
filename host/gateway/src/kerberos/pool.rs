//! The helpers of one acceptor: as many as may run at once, started when they are needed and again when one ended. One that
//! ends again and again is given time.

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

/// Helpers, idle and busy.
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

    /// Starts the first helper.
    pub(super) async fn start_first(&self) -> Result<(), String> {
        self.put_back(Worker::start(&self.launch).await?);
        Ok(())
    }

    /// Asks a helper, when one is free: it is waited for so long, and its answer then so long again. A helper that isn't
    /// done then is ended, as it may be stuck.
    pub(super) async fn ask(self: &Arc<Self>, question: &[u8], limit: Duration) -> Result<Answer, String> {
        let permit = timeout(limit, self.permits.acquire()).await;
        let _permit = permit
            .map_err(|_| "no helper was free in time")?
            .map_err(|error| error.to_string())?;
        match timeout(limit, self.ask_worker(question)).await {
            Ok(answer) => answer,
            Err(_) => Err("the helper wasn't done in time".to_owned()),
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
                tracing::warn!(acceptor, why = %error, "a helper ended while it was asked about a token");
                Err("the helper ended".to_owned())
            }
        }
    }

    /// A helper that waits for a question. Those that ended meanwhile are dropped.
    fn take_idle(&self) -> Option<Worker> {
        let mut state = self.state();
        while let Some(worker) = state.idle.pop() {
            if worker.is_idle() {
                return Some(worker);
            }
        }
        None
    }

    /// Starts a helper. It is ready for the next token if nobody waits for it any more.
    async fn start(self: &Arc<Self>) -> Result<Worker, String> {
        let retry_at = self.state().retry_at;
        if retry_at.is_some_and(|retry_at| Instant::now() < retry_at) {
            return Err("helpers keep ending, and none is started for the moment".to_owned());
        }
        let start = Arc::clone(&self.starts).try_acquire_owned();
        let start = start.map_err(|_| "the helpers are still starting")?;
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

    /// The next helper is started at once, those after it later and later.
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

/// How many failures in a row have no consequence.
const FREE_FAILURES: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
