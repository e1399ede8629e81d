//! One look at everything that is watched: first the system is asked to report what happens from now on, then the states
//! are taken, so no change falls between the two.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;

use crate::events::Events;
use crate::events::Lost;
use crate::links::Route;
use crate::places::Places;
use crate::stamp::FileStamp;
use crate::stamp::Identity;
use crate::stamp::Stamp;
use crate::stamp::identity;

/// What one look at a path found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) stamp: Stamp,
    /// The links on the way, and the end of it: the names under which events speak of this path.
    pub(crate) places: Vec<PathBuf>,
    /// For a folder: its entries that weren't in the known state, by the names under which events speak of them. `None` for
    /// what is not a file.
    pub(crate) new_entries: BTreeMap<PathBuf, Option<FileStamp>>,
}

impl Seen {
    /// Whether a file at `path` is this one, or a new one in this folder.
    pub(crate) fn concerns(&self, path: &Path) -> bool {
        self.new_entries.contains_key(path) || self.places.iter().any(|place| place == path)
    }

    /// Looks at a path. This blocks.
    pub(crate) fn of(path: &Path, known: &Stamp, route: Route) -> Self {
        let stamp = Stamp::of(path);
        let entry = |name| {
            let file = Stamp::of(&path.join(name)).file().cloned();
            Some((route.folder.as_ref()?.join(name), file))
        };
        Self {
            new_entries: stamp.new_names(known).filter_map(entry).collect(),
            places: route.places,
            stamp,
        }
    }
}

/// The connection to the system. Without one, it only takes states.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    watcher: Option<RecommendedWatcher>,
    /// The folders that the watcher was asked to watch.
    folders: HashMap<PathBuf, Identity>,
}

impl Observer {
    pub(crate) fn with(watcher: RecommendedWatcher) -> Self {
        Self {
            watcher: Some(watcher),
            folders: HashMap::new(),
        }
    }

    /// The connection, for tests that break it.
    #[cfg(test)]
    pub(crate) fn watcher(&mut self) -> &mut RecommendedWatcher {
        self.watcher.as_mut().unwrap()
    }

    /// Takes the states of paths, next to which the known ones stand. This blocks.
    pub(crate) fn look(&mut self, paths: &[PathBuf], known: &[Stamp], events: &Events, lost: &Lost) -> Vec<Seen> {
        let routes: Vec<_> = paths.iter().map(|path| Route::of(path)).collect();
        if let Some(watcher) = &mut self.watcher {
            let places = Places::of(&routes);
            let folders: Vec<_> = places.folders().cloned().collect();
            events.set_places(places);
            watch(watcher, &mut self.folders, folders, lost);
        }
        let with_known = paths.iter().zip(known).zip(routes);
        with_known
            .map(|((path, known), route)| Seen::of(path, known, route))
            .collect()
    }
}

/// Makes the watcher watch these folders and no others. A folder that is now another one than before, or that is lost, is
/// watched anew. What can't be watched is tried again the next time.
fn watch(
    watcher: &mut RecommendedWatcher,
    watched: &mut HashMap<PathBuf, Identity>,
    folders: Vec<PathBuf>,
    lost: &Lost,
) {
    let with_identity = |folder: PathBuf| {
        let metadata = fs::metadata(&folder).ok()?;
        Some((folder, identity(&metadata)))
    };
    let wanted: HashMap<_, _> = folders.into_iter().filter_map(with_identity).collect();
    watched.retain(|folder, identity| {
        let is_lost = lost.is_all || folder.ancestors().any(|folder| lost.folders.contains(folder));
        let stays = wanted.get(folder) == Some(identity) && !is_lost;
        // The system has already forgotten a folder that was removed.
        if !stays && let Err(error) = watcher.unwatch(folder) {
            tracing::trace!(folder = %folder.display(), %error, "a folder was not watched any more");
        }
        stays
    });
    for (folder, identity) in wanted {
        if watched.contains_key(&folder) {
            continue;
        }
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                watched.insert(folder, identity);
            }
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "the system can't report changes in a folder: they are found later");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    /// It may be a file system that was mounted there, which is no event.
    #[tokio::test]
    async fn a_folder_that_is_another_one_than_before_is_watched_anew() {
        let scene = tempfile::tempdir().unwrap();
        let root = scene.path().canonicalize().unwrap();
        let (folder, file) = (root.join("folder"), root.join("folder/file"));
        fs::create_dir(&folder).unwrap();
        let events = Arc::new(Events::default());
        let reporter = Arc::clone(&events);
        let report = move |event| reporter.report(event, true);
        let mut observer = Observer::with(RecommendedWatcher::new(report, notify::Config::default()).unwrap());
        let (paths, known) = ([file.clone()], [Stamp::of(&file)]);
        observer.look(&paths, &known, &events, &Lost::default());
        fs::rename(&folder, root.join("before")).unwrap();
        fs::create_dir(&folder).unwrap();
        observer.look(&paths, &known, &events, &Lost::default());
        fs::write(&file, "").unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !events.take().changed.contains(&file) {
            assert!(Instant::now() < deadline, "the change was not reported");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
