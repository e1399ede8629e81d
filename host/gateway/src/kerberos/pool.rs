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
pub(super) struct Pool {
    launch: Launch,
    workers: usize,
    places: Semaphore,
    starts: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Worker>,
    failures: u32,
    again_at: Option<Instant>,
}

impl Pool {
    pub(super) fn new(launch: Launch, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            launch,
            workers,
            places: Semaphore::new(workers),
            starts: Arc::new(Semaphore::new(workers)),
            state: Mutex::default(),
        })
    }

    /// Starts the first helper.
    pub(super) async fn try_out(&self) -> Result<(), String> {
        self.keep(Worker::start(&self.launch).await?);
        Ok(())
    }

    /// Asks a helper, when one is free: it is waited for so long, and its answer then so long again. A helper that isn't
    /// done then is ended, as it may be stuck.
    pub(super) async fn ask(self: &Arc<Self>, question: &[u8], patience: Duration) -> Result<Answer, String> {
        let place = timeout(patience, self.places.acquire()).await;
        let _place = place
            .map_err(|_| "no helper was free in time")?
            .map_err(|error| error.to_string())?;
        match timeout(patience, self.ask_next(question)).await {
            Ok(answer) => answer,
            Err(_) => Err("the helper wasn't done in time".to_owned()),
        }
    }

    async fn ask_next(self: &Arc<Self>, question: &[u8]) -> Result<Answer, String> {
        let mut worker = match self.idle() {
            Some(worker) => worker,
            None => self.start().await?,
        };
        match worker.exchange(question).await {
            Ok(answer) => {
                self.keep(worker);
                let mut state = self.state();
                (state.failures, state.again_at) = (0, None);
                Ok(answer)
            }
            Err(error) => {
                drop(worker);
                self.failed();
                let acceptor = &self.launch.acceptor;
                tracing::warn!(acceptor, why = %error, "a helper ended while it was asked about a token");
                Err("the helper ended".to_owned())
            }
        }
    }

    /// A helper that waits for a question. Those that ended meanwhile are dropped.
    fn idle(&self) -> Option<Worker> {
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
        let again_at = self.state().again_at;
        if again_at.is_some_and(|again_at| Instant::now() < again_at) {
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
                pool.failed();
            }
            if let Err(Ok(worker)) = sender.send(started) {
                pool.keep(worker);
            }
        });
        receiver.await.map_err(|error| error.to_string())?
    }

    fn keep(&self, worker: Worker) {
        let mut state = self.state();
        if state.idle.len() < self.workers {
            state.idle.push(worker);
        }
    }

    /// The next helper is started at once, those after it later and later.
    fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let doublings = state.failures.checked_sub(FREE_STARTS);
        let pause = doublings.map(|doublings| FIRST_PAUSE.saturating_mul(1 << doublings.min(10)).min(LONGEST_PAUSE));
        state.again_at = pause.map(|pause| Instant::now() + pause);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many failures in a row have no consequence.
const FREE_STARTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
