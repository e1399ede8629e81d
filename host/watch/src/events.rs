//! What the system reports about the watched folders. It is kept as a sum, not as a queue, so it stays small however much
//! happens.

use std::collections::HashSet;
use std::mem;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use notify::Event;
use notify::EventKind;
use notify::event::AccessKind;
use notify::event::AccessMode;
use notify::event::CreateKind;
use notify::event::ModifyKind;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::places::Concern;
use crate::places::Places;
use crate::writers::Writers;

/// What has been reported: one thread reports, one task takes.
#[derive(Debug, Default)]
pub(crate) struct Events {
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct State {
    places: Places,
    news: News,
    writers: Writers,
}

/// What was reported since it was last taken.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Whether anything may have changed.
    is_any: bool,
    /// The files, links and entries of folders that were reported to have changed, at most `MOST_PATHS`.
    pub(crate) changed: HashSet<PathBuf>,
    /// What can no longer be relied upon to be reported.
    pub(crate) lost: Lost,
}

/// The watched folders that the system may have ceased to watch.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Some event was lost, so it may have been about any folder.
    pub(crate) is_all: bool,
    /// These folders were moved or removed. They are among the watched ones, so there are no more than of those.
    pub(crate) folders: HashSet<PathBuf>,
}

/// What an event means for its path.
#[derive(Clone, Copy)]
enum Meaning {
    Created,
    Opened,
    Written,
    /// Closed after writing.
    Closed,
    /// Moved to or from the path, or removed.
    Replaced,
    /// Any other change, such as that of permissions.
    Changed,
    /// Reading, which changes nothing.
    Read,
}

impl Events {
    /// From now on, these places matter.
    pub(crate) fn set_places(&self, places: Places) {
        self.state().places = places;
    }

    /// Takes what was reported.
    pub(crate) fn take(&self) -> News {
        mem::take(&mut self.state().news)
    }

    /// Whether anything that may be a change was reported since this was last asked, or since `take`.
    pub(crate) fn take_any(&self) -> bool {
        mem::take(&mut self.state().news.is_any)
    }

    /// Completes when `take_any` may have become true. Cancel safe.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Whether a file is open for writing that `concerns` the caller.
    pub(crate) fn is_written(&self, now: Instant, concerns: impl FnMut(&Path) -> bool) -> bool {
        self.state().writers.open(now).any(concerns)
    }

    /// Takes up what the system reports. Only where it `tells_closing` is the end of a change known from events; elsewhere
    /// an event says no more than that it is time to look.
    pub(crate) fn report(&self, event: notify::Result<Event>, tells_closing: bool) {
        let mut state = self.state();
        let was_any = state.news.is_any;
        match event {
            Ok(event) if !event.need_rescan() => {
                let meaning = meaning(event.kind);
                for path in &event.paths {
                    state.report(path, meaning, tells_closing);
                }
            }
            Ok(_) => {
                tracing::debug!("events of the file system were lost: its queue was full");
                state.news.lost.is_all = true;
                state.news.is_any = true;
            }
            Err(error) => {
                tracing::debug!(%error, "the system can't report changes of files");
                state.news.is_any = true;
            }
        }
        if state.news.is_any && !was_any {
            self.woken.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn report(&mut self, path: &Path, meaning: Meaning, tells_closing: bool) {
        let Some(concern) = self.places.concern(path) else {
            return;
        };
        let is_any = match (concern, meaning) {
            (_, Meaning::Read | Meaning::Opened) => false,
            // Only the names in a folder are its state.
            (Concern::Entry, Meaning::Written | Meaning::Closed | Meaning::Changed) => false,
            _ => true,
        };
        self.news.is_any |= is_any;
        if matches!(meaning, Meaning::Replaced) && self.places.is_folder(path) {
            self.news.lost.folders.insert(path.to_owned());
        }
        if concern == Concern::Folder || !tells_closing {
            return;
        }
        let now = Instant::now();
        match meaning {
            Meaning::Created => self.writers.created(path, now),
            Meaning::Opened => self.writers.opened(path, now),
            Meaning::Written => self.writers.written(path, now),
            Meaning::Closed | Meaning::Replaced => self.writers.ended(path),
            Meaning::Changed | Meaning::Read => {}
        }
        if !matches!(meaning, Meaning::Read | Meaning::Opened) && self.news.changed.len() < MOST_PATHS {
            self.news.changed.insert(path.to_owned());
        }
    }
}

/// A folder can have any number of entries. A change of a path that doesn't fit counts as not reported.
pub(crate) const MOST_PATHS: usize = 4096;

const fn meaning(kind: EventKind) -> Meaning {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Meaning::Closed,
        EventKind::Access(AccessKind::Open(_)) => Meaning::Opened,
        EventKind::Access(_) => Meaning::Read,
        EventKind::Create(CreateKind::File) => Meaning::Created,
        EventKind::Modify(ModifyKind::Data(_)) => Meaning::Written,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) | EventKind::Create(_) => Meaning::Replaced,
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Meaning::Changed,
    }
}

#[cfg(test)]
mod tests;
