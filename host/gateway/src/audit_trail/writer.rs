//! The thread that writes audit lines: when it writes and when it makes checkpoints, how it tries again what has failed, and what
//! it says about that.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use metrics::counter;
use metrics::gauge;
use tokio::sync::oneshot;

use super::FAILURES;
use super::WAITING;
use super::WRITABLE;
use super::WRITTEN;
use super::losses::Losses;
use super::queue::Load;
use super::sealer::Sealer;
use super::sealer::Waits;
use crate::config::AuditConfig;

/// What the thread has to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Write this line: the members of a JSON object.
    Line(Vec<u8>),
    /// Go by other settings.
    Follow(AuditConfig),
    /// Tell when all is written or lost, and end.
    Finish(oneshot::Sender<()>),
}

/// Opens what the configuration names, and starts the thread.
///
/// # Errors
///
/// If a file can't be used, or no thread can be started.
pub(super) fn start(config: &AuditConfig, work: mpsc::Receiver<Work>, load: Arc<Load>) -> io::Result<()> {
    let writer = Writer {
        sealer: Sealer::new(config)?,
        waiting: VecDeque::new(),
        interval: config.checkpoint,
        checkpoint_at: Instant::now() + config.checkpoint,
        is_failing: false,
        losses: Losses::default(),
        load,
    };
    let thread = thread::Builder::new().name("audit".to_owned());
    thread.spawn(move || writer.run(&work)).map(drop)
}

#[derive(Debug)]
struct Writer {
    sealer: Sealer,
    /// The lines that are written next.
    waiting: VecDeque<Vec<u8>>,
    /// How often there is a checkpoint.
    interval: Duration,
    checkpoint_at: Instant,
    is_failing: bool,
    losses: Losses,
    load: Arc<Load>,
}

/// The work is finished. The sender tells the caller that waits for that; `None` if no caller waits.
struct Last(Option<oneshot::Sender<()>>);

impl Writer {
    fn run(mut self, work: &mpsc::Receiver<Work>) {
        loop {
            let last = self.take(work);
            self.losses.note(&self.load);
            let done = self.write(last.is_some());
            self.tell(done);
            gauge!(WAITING).set(u32::try_from(self.load.waiting()).unwrap_or(u32::MAX));
            if let Some(last) = last {
                return self.end(last);
            }
        }
    }

    /// Takes what there is to do, and waits for it for a while.
    fn take(&mut self, work: &mpsc::Receiver<Work>) -> Option<Last> {
        let is_ending = self.load.is_ending.load(Ordering::Relaxed);
        if self.is_failing && !is_ending {
            thread::sleep(RETRY);
        }
        let is_idle = self.waiting.is_empty() && !self.sealer.must_open();
        let mut next = work.recv_timeout(if is_idle { LOOK } else { Duration::ZERO });
        loop {
            match next {
                Ok(Work::Line(line)) => self.waiting.push_back(line),
                Ok(Work::Follow(config)) => self.follow(config),
                Ok(Work::Finish(done)) => return Some(Last(Some(done))),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => return Some(Last(None)),
            }
            // The rest stays in the queue, which is bounded as a whole.
            if self.waiting.len() >= MAX_BATCH && !is_ending {
                return None;
            }
            next = work.try_recv().map_err(|error| match error {
                mpsc::TryRecvError::Empty => RecvTimeoutError::Timeout,
                mpsc::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
    }

    /// Lines until now are signed by the key before.
    fn follow(&mut self, config: AuditConfig) {
        let done = self.write(true);
        self.tell(done);
        self.sealer.change_key(config.key);
        self.interval = config.checkpoint;
        self.checkpoint_at = Instant::now() + config.checkpoint;
    }

    /// Writes everything that waits, and a checkpoint if it is time for one, or if `is_last`.
    fn write(&mut self, is_last: bool) -> io::Result<()> {
        self.with_sealer(Sealer::follow_file)?;
        self.write_lines()?;
        if self.sealer.needs_checkpoint() && (is_last || Instant::now() >= self.checkpoint_at) {
            self.sealer.connect()?;
            self.write_lines()?;
            self.checkpoint_at = Instant::now() + self.interval;
            self.with_sealer(Sealer::checkpoint)?;
        }
        Ok(())
    }

    fn write_lines(&mut self) -> io::Result<()> {
        while self.sealer.must_open() || self.losses.unrecorded() > 0 || !self.waiting.is_empty() {
            self.sealer.connect()?;
            let waiting = std::mem::take(&mut self.waiting);
            let lost = self.losses.unrecorded();
            let sent = self.with_sealer(|sealer, waits| sealer.write(&waiting, lost, waits));
            self.waiting = waiting;
            if sent.has_dropped {
                self.losses.record(lost);
            }
            let bytes = self
                .waiting
                .drain(..sent.lines.min(self.waiting.len()))
                .map(|line| line.len())
                .sum();
            self.load.remove(sent.lines, bytes);
            counter!(WRITTEN).increment(u64::try_from(sent.lines).unwrap_or(u64::MAX));
            sent.result?;
        }
        Ok(())
    }

    /// Losses are told while a slow reader is waited for. At the end of the process it isn't waited for long.
    fn with_sealer<T>(&mut self, work: impl FnOnce(&mut Sealer, Waits<'_>) -> T) -> T {
        let (load, losses) = (&self.load, &mut self.losses);
        let mut patience = None;
        work(&mut self.sealer, &mut || {
            losses.note(load);
            let is_ending = load.is_ending.load(Ordering::Relaxed);
            !is_ending || Instant::now() < *patience.get_or_insert_with(|| Instant::now() + PATIENCE)
        })
    }

    /// The first failure and the end of failing are logged, and all failures are counted.
    fn tell(&mut self, done: io::Result<()>) {
        let to = &self.sealer.name;
        gauge!(WRITABLE).set(if done.is_ok() { 1 } else { 0 });
        match done {
            Ok(()) => {
                if self.is_failing {
                    tracing::info!(to, "audit lines can be written again");
                    self.losses.tell();
                }
                self.is_failing = false;
            }
            Err(error) => {
                counter!(FAILURES).increment(1);
                if !self.is_failing {
                    tracing::error!(to, %error, "audit lines can't be written, and wait in memory");
                }
                self.is_failing = true;
            }
        }
    }

    /// What can't be written now is lost.
    fn end(mut self, last: Last) {
        let lost = self.load.waiting();
        if lost > 0 {
            self.load.count_dropped(u64::try_from(lost).unwrap_or(u64::MAX));
            tracing::error!(
                to = self.sealer.name,
                lost,
                "audit lines are lost, because they can't be written"
            );
        }
        self.losses.tell();
        if let Some(done) = last.0 {
            // Who has asked may be gone.
            let _ = done.send(());
        }
    }
}

/// How many lines the thread takes from the queue at once.
const MAX_BATCH: usize = 1024;

/// How often it is looked whether the file was moved away.
const LOOK: Duration = Duration::from_secs(1);

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long a slow reader is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(2);
