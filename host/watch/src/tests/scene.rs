//! A folder with a watcher, for tests.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::Stamp;
use crate::Watcher;

/// How changes are noticed.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Events,
    Polling,
}

pub(super) const BOTH: [By; 2] = [By::Events, By::Polling];

/// A folder with files, and a watcher of some of them.
pub(super) struct Scene {
    pub(super) root: TempDir,
    pub(super) watcher: Watcher,
    pub(super) by: By,
}

impl Scene {
    /// The watcher watches nothing yet.
    pub(super) fn new(by: By) -> Self {
        let watcher = match by {
            By::Events => Watcher {
                poll: Duration::from_secs(3600),
                ..Watcher::new()
            },
            By::Polling => Watcher::polling(),
        };
        let root = tempfile::tempdir().unwrap();
        Self { root, watcher, by }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn watch(&mut self, names: &[&str]) {
        let paths: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        self.watcher.watch(paths.into_iter().map(|path| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        }));
    }

    /// Watches, and waits until the system does.
    pub(super) async fn watch_now(&mut self, names: &[&str]) {
        self.watch(names);
        self.watcher.next_look().await;
        self.watcher.due = Instant::now() + self.watcher.poll;
    }

    pub(super) async fn changed(&mut self) {
        assert!(
            within_deadline(self.watcher.changed()).await,
            "no change was seen by {:?}",
            self.by
        );
    }

    /// Fails if the watcher notices something before another one has noticed two later changes.
    pub(super) async fn assert_unchanged(&mut self) {
        let control = self.path("control");
        let mut other = Self::new(self.by).watcher;
        for content in ["a", "ab"] {
            other.watch([(control.clone(), Stamp::of(&control))]);
            fs::write(&control, content).unwrap();
            tokio::select! {
                () = self.watcher.changed() => panic!("a change was seen"),
                is_seen = within_deadline(other.changed()) => assert!(is_seen),
            }
        }
    }
}

/// Whether this completes within a time that is enough for everything.
pub(super) async fn within_deadline(future: impl Future<Output = ()>) -> bool {
    timeout(Duration::from_secs(90), future).await.is_ok()
}
