//! Tells when files or folders have changed and the change is complete, for programs that take up their configuration
//! while they run. Only states count, which are compared; events of the file system just say when to look.
//!
//! ```no_run
//! # async fn run(path: std::path::PathBuf) {
//! use portcullis_watch::Stamp;
//! use portcullis_watch::Watcher;
//!
//! let mut watcher = Watcher::new();
//! loop {
//!     let before = Stamp::of(&path);
//!     let content = std::fs::read(&path);
//!     // ... use the content ...
//!     watcher.watch([(path.clone(), before)]);
//!     watcher.changed().await;
//! }
//! # }
//! ```

mod events;
mod links;
mod places;
mod settle;
mod snapshot;
mod stamp;
#[cfg(test)]
mod tests;
mod writers;

use std::collections::HashSet;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::RecommendedWatcher;
use notify::Watcher as _;
use notify::WatcherKind;
use tokio::task::JoinHandle;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio::time::timeout_at;

use self::events::Events;
use self::events::MOST_PATHS;
use self::settle::Settling;
use self::snapshot::Observer;
use self::snapshot::Seen;
pub use self::stamp::Stamp;

/// Watches files and folders.
///
/// A change is noticed within a moment where the system reports it, otherwise within some seconds: on network file systems,
/// and when the system's limits of watches are reached. A change through a symbolic link anywhere on the way to a path is
/// a change of the path.
///
/// Nothing but metadata and the names in folders is read.
#[derive(Debug)]
pub struct Watcher {
    paths: Arc<[PathBuf]>,
    /// The state of each path that the caller knows.
    known: Arc<[Stamp]>,
    events: Arc<Events>,
    /// Works on a thread for blocking work while `look` is running; a default stands here meanwhile.
    observer: Observer,
    look: Option<JoinHandle<(Observer, Vec<Seen>)>>,
    /// Whether `look` began before the paths were replaced.
    is_outdated: bool,
    /// How often to look without events: `POLL`, except in tests of events.
    poll: Duration,
    /// When to look next, if no event comes first.
    due: Instant,
    /// What the system reported to have changed since the states were last the known ones.
    reported: HashSet<PathBuf>,
    /// `None` while the states are the known ones.
    settling: Option<Settling>,
}

impl Watcher {
    /// A watcher that watches nothing yet. If the system can't report changes, a warning is logged, and they are found as
    /// those of [`Watcher::polling`] are.
    pub fn new() -> Self {
        let mut watcher = Self::polling();
        let events = Arc::clone(&watcher.events);
        let tells_closing = RecommendedWatcher::kind() == WatcherKind::Inotify;
        let report = move |event| events.report(event, tells_closing);
        match RecommendedWatcher::new(report, notify::Config::default()) {
            Ok(system) => watcher.observer = Observer::with(system),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the system can't report changes of files, so they are noticed some seconds later; on Linux, \
                     fs.inotify.max_user_instances may be too low"
                );
            }
        }
        watcher
    }

    /// A watcher that looks every two seconds and doesn't ask the system to report changes. It is for file systems that
    /// report none. A file that has just been written is complete when it has not changed for two seconds.
    pub fn polling() -> Self {
        Self {
            paths: Arc::new([]),
            known: Arc::new([]),
            events: Arc::default(),
            observer: Observer::default(),
            look: None,
            is_outdated: false,
            poll: POLL,
            due: Instant::now(),
            reported: HashSet::new(),
            settling: None,
        }
    }

    /// Replaces what is watched. Each path has the state that it had *before* the caller read it, so a change between
    /// reading and watching is never missed. This doesn't block.
    pub fn watch(&mut self, paths: impl IntoIterator<Item = (PathBuf, Stamp)>) {
        let (paths, known): (Vec<_>, Vec<_>) = paths.into_iter().unzip();
        self.paths = paths.into();
        self.known = known.into();
        self.is_outdated = self.look.is_some();
        self.due = Instant::now();
        self.reported.clear();
        self.settling = None;
    }

    /// Completes when the state of at least one path differs from what was given to [`Watcher::watch`], and the change is
    /// complete: no process has the file open for writing, as far as the system tells, and nothing has changed for a
    /// moment. Whoever keeps a file open without writing is waited for no longer than ten seconds, and a change that doesn't
    /// end no longer than thirty.
    ///
    /// It doesn't complete twice for the same states: they then count as known, as if they had been given to
    /// [`Watcher::watch`]. It never completes if nothing is watched.
    ///
    /// This is cancel safe: a call continues where the last one was dropped.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, or in one whose time is not enabled.
    pub async fn changed(&mut self) {
        loop {
            let seen = self.next_look().await;
            if self.is_complete(seen) {
                return;
            }
        }
    }

    /// Whether a look found states other than the known ones, and the change is complete. They then are the known ones.
    fn is_complete(&mut self, seen: Vec<Seen>) -> bool {
        let now = Instant::now();
        let is_known = seen.iter().map(|seen| &seen.stamp).eq(self.known.iter());
        if !is_known {
            let is_written = self
                .events
                .is_written(now, |path| seen.iter().any(|seen| seen.concerns(path)));
            let settling = self.settling.get_or_insert_with(|| Settling::new(now));
            if !settling.is_complete(&seen, &self.known, &self.reported, is_written, now) {
                self.due = now + DEBOUNCE;
                return false;
            }
            self.known = seen.into_iter().map(|seen| seen.stamp).collect();
        }
        self.due = now + self.poll;
        self.reported.clear();
        self.settling = None;
        !is_known
    }

    /// Waits until a look is due, and for its end.
    async fn next_look(&mut self) -> Vec<Seen> {
        loop {
            let look = match &mut self.look {
                Some(look) => look,
                None => {
                    self.wait().await;
                    let look = self.begin_look();
                    self.look.insert(look)
                }
            };
            let found = look.await;
            self.look = None;
            let is_outdated = mem::take(&mut self.is_outdated);
            match found {
                Ok((observer, seen)) => {
                    self.observer = observer;
                    if !is_outdated {
                        return seen;
                    }
                }
                // The observer went with it, so from now on there are no events.
                Err(error) => {
                    tracing::warn!(%error, "looking for changes of files failed: they are noticed some seconds later");
                    self.due = Instant::now() + self.poll;
                }
            }
        }
    }

    /// Waits until a look is due. An event makes it due after a moment, in which most changes are completed.
    async fn wait(&mut self) {
        while Instant::now() < self.due {
            if self.events.take_any() {
                self.due = self.due.min(Instant::now() + DEBOUNCE);
            }
            // Whether the time is over or an event came is seen above.
            let _ = timeout_at(self.due, self.events.woken()).await;
        }
    }

    fn begin_look(&mut self) -> JoinHandle<(Observer, Vec<Seen>)> {
        let news = self.events.take();
        let room = MOST_PATHS.saturating_sub(self.reported.len());
        self.reported.extend(news.changed.into_iter().take(room));
        let mut observer = mem::take(&mut self.observer);
        let (paths, known) = (Arc::clone(&self.paths), Arc::clone(&self.known));
        let events = Arc::clone(&self.events);
        spawn_blocking(move || {
            let seen = observer.look(&paths, &known, &events, &news.lost);
            (observer, seen)
        })
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

/// How long a change may go unnoticed that the system doesn't report.
const POLL: Duration = Duration::from_secs(2);

/// How long to wait after an event, and between two looks while something changes.
const DEBOUNCE: Duration = Duration::from_millis(200);
