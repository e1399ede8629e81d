//! The files that some process is writing, as far as events tell. A file is complete when its writer has closed it.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// The files that are open for writing. At most `MOST_FILES` are known.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    files: HashMap<PathBuf, Writing>,
}

#[derive(Debug)]
struct Writing {
    /// False for a file that exists since a moment. A link to a file stays so: nobody opens and closes it.
    is_open: bool,
    last_event: Instant,
}

impl Writers {
    /// A file was created. Whoever creates a file with content opens it next.
    pub(crate) fn created(&mut self, path: &Path, now: Instant) {
        self.insert(path, false, now);
    }

    /// Somebody opened a file. Only if it has just been created is that known to be for writing.
    pub(crate) fn opened(&mut self, path: &Path, now: Instant) {
        let created = self.files.get_mut(path);
        if let Some(writing) = created.filter(|writing| !writing.is_open && writing.counts(now)) {
            writing.is_open = true;
            writing.last_event = now;
        }
    }

    /// Somebody wrote to a file.
    pub(crate) fn written(&mut self, path: &Path, now: Instant) {
        self.insert(path, true, now);
    }

    /// A writer closed the file, or the path doesn't lead to it any more.
    pub(crate) fn ended(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// The files that are being written. Whoever keeps a file open without writing for `PATIENCE` doesn't count any more.
    pub(crate) fn open(&mut self, now: Instant) -> impl Iterator<Item = &Path> {
        self.forget(now);
        self.files
            .iter()
            .filter(|(_, writing)| writing.is_open)
            .map(|(path, _)| path.as_path())
    }

    fn insert(&mut self, path: &Path, is_open: bool, now: Instant) {
        if self.files.len() >= MOST_FILES {
            self.forget(now);
        }
        if self.files.len() < MOST_FILES || self.files.contains_key(path) {
            let writing = Writing {
                is_open,
                last_event: now,
            };
            self.files.insert(path.to_owned(), writing);
        }
    }

    fn forget(&mut self, now: Instant) {
        self.files.retain(|_, writing| writing.counts(now));
    }
}

impl Writing {
    /// Whether the last event is new enough to tell something.
    fn counts(&self, now: Instant) -> bool {
        let patience = if self.is_open { PATIENCE } else { OPENING };
        now.saturating_duration_since(self.last_event) < patience
    }
}

/// How long a writer is waited for after its last sign of life. A process may keep a file open for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Within which time after the creation of a file its creator has opened it: the system does both at once. Whoever opens
/// it later may read.
const OPENING: Duration = Duration::from_millis(100);

const MOST_FILES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_from_its_first_change_until_it_is_closed() {
        let (path, now) = (Path::new("/a"), Instant::now());
        let mut writers = Writers::default();
        let is_open = |writers: &mut Writers, after: Duration| writers.open(now + after).next().is_some();
        let soon = Duration::ZERO;
        writers.opened(path, now);
        assert!(!is_open(&mut writers, soon), "somebody reads");
        writers.created(path, now);
        writers.opened(path, now + OPENING);
        assert!(!is_open(&mut writers, soon), "it may be a link");
        writers.created(path, now);
        writers.opened(path, now);
        assert!(is_open(&mut writers, soon));
        writers.ended(path);
        assert!(!is_open(&mut writers, soon));
        writers.written(path, now);
        writers.opened(path, now + PATIENCE / 2);
        assert!(is_open(&mut writers, PATIENCE - Duration::from_millis(1)));
        assert!(!is_open(&mut writers, PATIENCE), "a reader is no sign of life");
        writers.written(path, now + PATIENCE);
        assert!(is_open(&mut writers, PATIENCE));
        assert!(!is_open(&mut writers, 2 * PATIENCE));
    }

    #[test]
    fn the_number_of_files_is_bounded() {
        let now = Instant::now();
        let mut writers = Writers::default();
        for number in 0..2 * MOST_FILES {
            writers.written(Path::new(&format!("/{number}")), now);
        }
        assert_eq!(writers.open(now).count(), MOST_FILES);
        writers.written(Path::new("/late"), now + PATIENCE);
        assert_eq!(writers.open(now + PATIENCE).count(), 1);
    }
}
