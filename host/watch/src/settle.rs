//! Decides when a change is complete. A file that is read while it is being written is half a file.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::Seen;
use crate::stamp::FileStamp;
use crate::stamp::Stamp;

/// A change that may not be complete yet.
#[derive(Debug)]
pub(crate) struct Settling {
    began: Instant,
    /// What the last look found. `None` before the first.
    last: Option<Vec<Seen>>,
    /// When `last` was found for the first time.
    unchanged_since: Instant,
}

impl Settling {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            began: now,
            last: None,
            unchanged_since: now,
        }
    }

    /// Takes what another look found, and returns whether the change is complete: nothing changed since the last look, no
    /// file `is_written`, and each change was either in `reported` by the system, or is `QUIET` old. After `LIMIT` it
    /// counts as complete.
    pub(crate) fn is_complete(
        &mut self,
        seen: &[Seen],
        known: &[Stamp],
        reported: &HashSet<PathBuf>,
        is_written: bool,
        now: Instant,
    ) -> bool {
        let is_unchanged = self.last.as_deref() == Some(seen);
        if !is_unchanged {
            self.last = Some(seen.to_vec());
            self.unchanged_since = now;
        }
        let is_quiet = || now.saturating_duration_since(self.unchanged_since) >= QUIET;
        let is_over = || {
            seen.iter()
                .zip(known)
                .all(|(seen, known)| is_over(seen, known, reported))
        };
        let is_late = now.saturating_duration_since(self.began) >= LIMIT;
        is_late || (is_unchanged && !is_written && (is_quiet() || is_over()))
    }
}

/// Whether a path has not changed, or its change is over as far as one look can tell.
fn is_over(seen: &Seen, known: &Stamp, reported: &HashSet<PathBuf>) -> bool {
    let is_old = |file: &FileStamp| file.is_older_than(QUIET);
    if seen.stamp == *known {
        return true;
    }
    if seen.stamp.is_folder() {
        // What comes into a folder may still be written. What leaves it is gone at once.
        let mut entries = seen.new_entries.iter();
        return entries.all(|(path, file)| reported.contains(path) || file.as_ref().is_none_or(is_old));
    }
    seen.places.iter().any(|place| reported.contains(place)) || seen.stamp.file().is_some_and(is_old)
}

/// How long nothing must have changed where the system reports nothing, such as on a network file system.
const QUIET: Duration = Duration::from_secs(2);

/// How long a change may take. A file that is written all the time must not keep everything else from being taken up.
const LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::path::Path;
    use std::time::SystemTime;

    use super::*;
    use crate::links::Route;

    /// A look at one path.
    fn look(path: &Path, known: &Stamp) -> Vec<Seen> {
        vec![Seen::of(path, known, Route::of(path))]
    }

    /// After which of several looks, `STEP` apart, a change that stays as it is counts as complete.
    fn looks(seen: &[Seen], known: &Stamp, reported: &[&Path], is_written: bool) -> usize {
        let reported = reported.iter().map(|path| path.to_path_buf()).collect();
        let now = Instant::now();
        let mut settling = Settling::new(now);
        let known = std::slice::from_ref(known);
        (1..)
            .find(|look| {
                let now = now + STEP * u32::try_from(look - 1).unwrap();
                settling.is_complete(seen, known, &reported, is_written, now)
            })
            .unwrap()
    }

    const STEP: Duration = Duration::from_secs(1);
    /// The looks until a change that isn't reported has been quiet for long enough, and until every change is late.
    const UNTIL_QUIET: usize = 3;
    const UNTIL_LATE: usize = 31;

    #[test]
    fn a_reported_or_old_change_is_complete_after_two_equal_looks() {
        let scene = tempfile::tempdir().unwrap();
        let root = scene.path().canonicalize().unwrap();
        let (path, missing) = (root.join("file"), Stamp::of(&root.join("file")));
        // A file that is newer than this test stays new for as long as it runs.
        let young = File::create(&path).unwrap();
        let seen = look(&path, &missing);
        assert_eq!(looks(&seen, &missing, &[], false), UNTIL_QUIET);
        assert_eq!(looks(&seen, &missing, &[&path], false), 2);
        assert_eq!(looks(&seen, &missing, &[&path], true), UNTIL_LATE);
        young.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        let seen = look(&path, &missing);
        assert_eq!(looks(&seen, &missing, &[], false), 2);
        let known = Stamp::of(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(looks(&look(&path, &known), &known, &[], false), UNTIL_QUIET);
    }

    #[test]
    fn a_new_entry_of_a_folder_is_complete_by_itself() {
        let scene = tempfile::tempdir().unwrap();
        let root = scene.path().canonicalize().unwrap();
        let (folder, entry) = (root.join("folder"), root.join("folder/entry"));
        let missing = Stamp::of(&folder);
        fs::create_dir(&folder).unwrap();
        let empty = Stamp::of(&folder);
        fs::write(&entry, "").unwrap();
        let full = Stamp::of(&folder);
        for before in [&missing, &empty] {
            let seen = look(&folder, before);
            assert_eq!(looks(&seen, before, &[], false), UNTIL_QUIET);
            assert_eq!(looks(&seen, before, &[&folder], false), UNTIL_QUIET);
            assert_eq!(looks(&seen, before, &[&entry], false), 2);
        }
        fs::remove_file(&entry).unwrap();
        assert_eq!(looks(&look(&folder, &full), &full, &[], false), 2);
    }

    #[test]
    fn whatever_changes_between_looks_is_late_at_last() {
        let scene = tempfile::tempdir().unwrap();
        let path = scene.path().canonicalize().unwrap().join("file");
        let known = Stamp::of(&path);
        let (reported, now) = (HashSet::from([path.clone()]), Instant::now());
        let mut settling = Settling::new(now);
        for second in 0..31 {
            fs::write(&path, vec![b'x'; second]).unwrap();
            let is_complete = settling.is_complete(
                &look(&path, &known),
                std::slice::from_ref(&known),
                &reported,
                false,
                now + STEP * u32::try_from(second).unwrap(),
            );
            assert_eq!(is_complete, second == 30, "{second}");
        }
    }
}
