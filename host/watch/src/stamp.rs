//! The state of a file or folder, as far as it can be told without reading a file. Two stamps of one path differ when
//! something has changed in between.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

/// The state of a file or folder, for comparison.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp(State);

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    File(FileStamp),
    Folder(Names),
    /// There is nothing, or it can't be looked at.
    Failed(io::ErrorKind),
}

impl Stamp {
    /// Looks at the file or folder that `path` leads to through symbolic links. This blocks.
    ///
    /// The state of a file is what it is (device and inode), its length, and the times of its last change: of the
    /// content and of anything else, such as permissions. The state of a folder is the names of its entries that don't
    /// begin with a dot, the first 10,000 in their order and the number of the others. Where neither can be read, the
    /// state is the kind of error.
    pub fn of(path: &Path) -> Self {
        let state = fs::metadata(path).and_then(|metadata| match metadata.is_dir() {
            true => Names::of(path).map(State::Folder),
            false => Ok(State::File(FileStamp::of(&metadata))),
        });
        Self(state.unwrap_or_else(|error| State::Failed(error.kind())))
    }

    /// The file. `None` for a folder and for an error.
    pub(crate) const fn file(&self) -> Option<&FileStamp> {
        match &self.0 {
            State::File(file) => Some(file),
            State::Folder(_) | State::Failed(_) => None,
        }
    }

    /// Whether this is a folder that could be listed.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self.0, State::Folder(_))
    }

    /// The names in this folder that aren't in the folder `before`: all of them if that was no folder. None for a file.
    pub(crate) fn new_names<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a OsStr> {
        let names = |stamp: &'a Self| match &stamp.0 {
            State::Folder(names) => Some(&names.first),
            State::File(_) | State::Failed(_) => None,
        };
        let (now, before) = (names(self), names(before));
        let is_new = move |name: &&OsString| before.is_none_or(|before| !before.contains(*name));
        now.into_iter().flatten().filter(is_new).map(OsString::as_os_str)
    }
}

/// The state of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileStamp {
    length: u64,
    /// When the content changed. `None` if the system doesn't tell.
    modified: Option<SystemTime>,
    identity: Identity,
    /// When anything changed, content or permissions: seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
            changed: changed(metadata),
        }
    }

    /// Whether the content has not changed for `age`. So it is, too, if it was changed in the future: the age is then
    /// unknown and will be so for a long time.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        self.modified
            .is_some_and(|modified| modified.elapsed().map_or(true, |elapsed| elapsed >= age))
    }
}

/// The names in a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Names {
    /// The first of them in their order, at most `MOST_NAMES`.
    first: BTreeSet<OsString>,
    /// The number of the others.
    others: u64,
}

impl Names {
    fn of(folder: &Path) -> io::Result<Self> {
        let mut names = Self {
            first: BTreeSet::new(),
            others: 0,
        };
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if !is_hidden(&name) {
                names.first.insert(name);
            }
            if names.first.len() > MOST_NAMES {
                names.first.pop_last();
                names.others += 1;
            }
        }
        Ok(names)
    }
}

/// The most names that the stamp of a folder keeps.
const MOST_NAMES: usize = 10_000;

/// Whether a name begins with a dot. Such an entry of a folder is somebody's temporary file, or none of our business.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// What tells a file or folder from any other one at the same time: device and inode.
pub(crate) type Identity = (u64, u64);

#[cfg(unix)]
pub(crate) fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere the standard library has no such number, and length and time must do.
#[cfg(not(unix))]
pub(crate) fn identity(_: &Metadata) -> Identity {
    (0, 0)
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_exists_differs_from_what_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let missing = Stamp::of(&path);
        assert_eq!(missing, Stamp::of(&folder.path().join("other")));
        fs::write(&path, "").unwrap();
        let file = Stamp::of(&path);
        assert_ne!(missing, file);
        assert_eq!(file, Stamp::of(&path));
        assert_ne!(Stamp::of(&path.join("below a file")), missing);
    }

    #[test]
    fn a_link_has_the_state_of_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        assert_eq!(Stamp::of(&link), Stamp::of(&path));
    }

    #[test]
    fn a_folder_is_its_visible_names() {
        let folder = tempfile::tempdir().unwrap();
        let empty = Stamp::of(folder.path());
        fs::write(folder.path().join(".hidden"), "").unwrap();
        assert_eq!(Stamp::of(folder.path()), empty);
        fs::write(folder.path().join("b"), "").unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let two = Stamp::of(folder.path());
        assert_ne!(two, empty);
        fs::write(folder.path().join("a"), "longer").unwrap();
        assert_eq!(Stamp::of(folder.path()), two);
        fs::remove_file(folder.path().join("b")).unwrap();
        let one = Stamp::of(folder.path());
        let names = |now: &Stamp, before: &Stamp| now.new_names(before).map(OsStr::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&two, &one), ["b"]);
        assert_eq!(names(&one, &two), [""; 0]);
        assert_eq!(names(&two, &Stamp(State::Failed(io::ErrorKind::NotFound))), ["a", "b"]);
    }

    #[test]
    fn a_large_folder_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=MOST_NAMES + 1 {
            File::create(folder.path().join(format!("{number:06}"))).unwrap();
        }
        let State::Folder(names) = Stamp::of(folder.path()).0 else {
            panic!("not a folder");
        };
        assert_eq!((names.first.len(), names.others), (MOST_NAMES, 2));
        assert_eq!(names.first.last().unwrap(), &OsString::from("009999"));
    }

    #[test]
    fn a_file_is_old_after_its_age_or_if_it_comes_from_the_future() {
        let file = |modified| FileStamp {
            length: 0,
            modified,
            identity: (0, 0),
            changed: (0, 0),
        };
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        for (modified, expected) in [
            (Some(now), false),
            (Some(now - 2 * hour), true),
            (Some(now + hour), true),
            (None, false),
        ] {
            assert_eq!(file(modified).is_older_than(hour), expected, "{modified:?}");
        }
    }
}
