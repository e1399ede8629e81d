//! The audit file or socket: lines of the audit log in a chain. A thread writes them, so that no request waits for a disk or a
//! reader.

mod file;
mod losses;
mod queue;
mod sealer;
mod sink;
mod socket;
mod tail;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use self::queue::Load;
pub(crate) use self::queue::Permit;
use self::writer::Work;
use crate::config::AuditConfig;

/// The audit trail, which a reload may replace. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentTrail(Arc<ArcSwapOption<Trail>>);

/// A file or socket that lines are written to.
#[derive(Debug)]
pub(crate) struct Trail {
    config: Mutex<AuditConfig>,
    load: Arc<Load>,
    work: mpsc::Sender<Work>,
}

/// What a reload changes.
#[derive(Debug)]
pub(crate) enum PreparedTrail {
    /// There is none any more.
    Off,
    /// Another one, which is open.
    New(Arc<Trail>),
    /// The one in use has other settings.
    Changed(AuditConfig),
}

impl CurrentTrail {
    /// Whether there is one.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load().is_some()
    }

    /// Takes a line: the members of a JSON object, without its braces. It never blocks.
    pub(crate) fn write(&self, line: impl FnOnce() -> Option<Vec<u8>>) {
        let current = self.0.load();
        if let Some(trail) = &*current
            && let Some(line) = line()
        {
            trail.write(line);
        }
    }

    /// Lets a request in, whose lines will have room. `None` if it must be refused.
    pub(crate) fn admit(&self) -> Option<Permit> {
        match &*self.0.load() {
            Some(trail) => trail.load.admit(),
            None => Some(Permit::NONE),
        }
    }

    /// Whether requests are refused now.
    pub(crate) fn refuses(&self) -> bool {
        self.0.load().as_ref().is_some_and(|trail| trail.load.refuses())
    }

    /// Opens what a configuration asks for. Nothing changes yet. It may wait for a disk.
    ///
    /// # Errors
    ///
    /// If the file can't be used.
    pub(crate) fn prepare(&self, config: Option<&AuditConfig>) -> io::Result<PreparedTrail> {
        let Some(config) = config else {
            return Ok(PreparedTrail::Off);
        };
        let current = self.0.load();
        let is_same = |trail: &Arc<Trail>| trail.config().target == config.target;
        if current.as_ref().is_some_and(is_same) {
            return Ok(PreparedTrail::Changed(config.clone()));
        }
        // A rate of what counts for the first time when it happens has nothing to begin with.
        for name in [WRITTEN, DROPPED, FAILURES, REFUSED] {
            metrics::counter!(name).increment(0);
        }
        let opened = Trail::open(config).map_err(|error| {
            let message = format!("[audit]: {} can't be used: {error}", config.target);
            io::Error::new(error.kind(), message)
        })?;
        Ok(PreparedTrail::New(Arc::new(opened)))
    }

    /// Writes to what was prepared from now on. What was taken before is written to where it belongs.
    pub(crate) fn apply(&self, prepared: PreparedTrail) {
        let was_on = self.is_on();
        self.replace(prepared);
        if self.is_on() != was_on {
            // Whether somebody wants an event is known for the place in the code where it is made.
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn replace(&self, prepared: PreparedTrail) {
        match prepared {
            PreparedTrail::Off => self.0.store(None),
            PreparedTrail::New(trail) => self.0.store(Some(trail)),
            PreparedTrail::Changed(config) => {
                if let Some(trail) = &*self.0.load() {
                    trail.follow(config);
                }
            }
        }
    }

    /// Writes what was taken, and a last checkpoint. It waits some seconds at most, and then says how much is lost.
    pub(crate) async fn finish(&self) {
        let Some(trail) = self.0.swap(None) else { return };
        trail.load.is_ending.store(true, Ordering::Relaxed);
        let (done, is_done) = tokio::sync::oneshot::channel();
        // Both errors mean that nothing more is written.
        if trail.work.send(Work::Finish(done)).is_ok() && tokio::time::timeout(MAX_FINISHING, is_done).await.is_err() {
            let lost = trail.load.waiting();
            tracing::error!(lost, "audit lines are lost, because writing them takes too long");
        }
    }
}

impl Trail {
    /// Opens the file, or begins to connect to the socket, and starts the thread that writes.
    fn open(config: &AuditConfig) -> io::Result<Self> {
        let load = Arc::new(Load::default());
        load.follow(config);
        let (work, waiting) = mpsc::channel();
        writer::start(config, waiting, Arc::clone(&load))?;
        Ok(Self {
            config: Mutex::new(config.clone()),
            load,
            work,
        })
    }

    fn config(&self) -> AuditConfig {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn follow(&self, config: AuditConfig) {
        self.load.follow(&config);
        // If the thread is gone, it has said so.
        let _ = self.work.send(Work::Follow(config.clone()));
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn write(&self, line: Vec<u8>) {
        let bytes = line.len();
        if self.load.add(bytes) && self.work.send(Work::Line(line)).is_err() {
            self.load.remove(1, bytes);
            self.load.count_dropped(1);
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        // No reader is waited for without an end.
        self.load.is_ending.store(true, Ordering::Relaxed);
    }
}

/// Describes the metrics.
pub(crate) fn describe() {
    metrics::describe_counter!(WRITTEN, "Lines that were written to the audit file or socket");
    metrics::describe_counter!(
        DROPPED,
        "Audit lines that were dropped because too many waited to be written"
    );
    metrics::describe_counter!(FAILURES, "Failed attempts to write to the audit file or socket");
    metrics::describe_counter!(
        REFUSED,
        "Requests that were refused because too many audit lines waited to be written"
    );
    metrics::describe_gauge!(WAITING, "Audit lines that wait to be written");
    metrics::describe_gauge!(
        WRITABLE,
        "Whether the last attempt to write to the audit file or socket worked"
    );
}

const WRITTEN: &str = "portcullis_audit_lines_written_total";
const DROPPED: &str = "portcullis_audit_lines_dropped_total";
const FAILURES: &str = "portcullis_audit_write_failures_total";
const REFUSED: &str = "portcullis_audit_requests_refused_total";
const WAITING: &str = "portcullis_audit_lines_waiting";
const WRITABLE: &str = "portcullis_audit_writable";

/// How long the end of the process waits for a disk or a reader.
const MAX_FINISHING: Duration = Duration::from_secs(5);
