//! The folders that the system is asked to watch, and the names in them that matter. It reports every change in such a
//! folder, and most of them concern nobody.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::links::Route;
use crate::stamp::is_hidden;

/// What matters in which folder.
#[derive(Debug, Default)]
pub(crate) struct Places {
    folders: HashMap<PathBuf, Content>,
}

/// What matters in one folder.
#[derive(Debug, Default)]
struct Content {
    /// Files, folders, links and missing components.
    names: HashSet<OsString>,
    /// Whether the folder itself is watched, for any entry that comes or goes.
    is_watched: bool,
}

/// How a path concerns somebody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Concern {
    /// It is on the way to a watched path, or its end.
    Place,
    /// It is another entry of a watched folder.
    Entry,
    /// It is a folder in which something matters.
    Folder,
}

impl Places {
    /// All that matters for these routes.
    pub(crate) fn of<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        let mut places = Self::default();
        for route in routes {
            for place in route.places.iter().chain(&route.gap) {
                if let (Some(folder), Some(name)) = (place.parent(), place.file_name()) {
                    places.content(folder).names.insert(name.to_owned());
                }
            }
            if let Some(folder) = &route.folder {
                places.content(folder).is_watched = true;
            }
        }
        places
    }

    fn content(&mut self, folder: &Path) -> &mut Content {
        self.folders.entry(folder.to_owned()).or_default()
    }

    /// The folders to watch. All of them existed a moment ago.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders.keys()
    }

    /// How a path concerns somebody. `None` if it concerns nobody.
    pub(crate) fn concern(&self, path: &Path) -> Option<Concern> {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
            && let Some(content) = self.folders.get(folder)
        {
            if content.names.contains(name) {
                return Some(Concern::Place);
            }
            if content.is_watched && !is_hidden(name) {
                return Some(Concern::Entry);
            }
        }
        self.is_folder(path).then_some(Concern::Folder)
    }

    /// Whether something in this folder matters.
    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.folders.contains_key(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_on_the_way_and_visible_entries_of_watched_folders_matter() {
        let path = |name: &str| PathBuf::from(name);
        let file = Route {
            places: vec![path("/x/p.toml"), path("/x/..data"), path("/x/..2024/p.toml")],
            ..Route::default()
        };
        let folder = Route {
            places: vec![path("/y/plugins")],
            folder: Some(path("/y/plugins")),
            ..Route::default()
        };
        let missing = Route {
            gap: Some(path("/z/a")),
            ..Route::default()
        };
        let places = Places::of([&file, &folder, &missing]);
        let mut folders: Vec<_> = places.folders().map(|folder| folder.to_str().unwrap()).collect();
        folders.sort_unstable();
        assert_eq!(folders, ["/x", "/x/..2024", "/y", "/y/plugins", "/z"]);
        for (path, expected) in [
            ("/x/p.toml", Some(Concern::Place)),
            ("/x/..data", Some(Concern::Place)),
            ("/x/..2024/p.toml", Some(Concern::Place)),
            ("/x/..2024", Some(Concern::Folder)),
            ("/x/other", None),
            ("/y/plugins", Some(Concern::Place)),
            ("/y/plugins/new", Some(Concern::Entry)),
            ("/y/plugins/.new", None),
            ("/y/other", None),
            ("/y", Some(Concern::Folder)),
            ("/z/a", Some(Concern::Place)),
            ("/z/a/b", None),
            ("/", None),
        ] {
            assert_eq!(places.concern(Path::new(path)), expected, "{path}");
        }
    }
}
