//! The files that a configuration is read from, with the state that each had before it was read. A reload watches them,
//! and compares their contents with those of before.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use portcullis::Digest;
use portcullis_watch::Stamp;

use crate::files::read_bytes;
use crate::signature;

/// The files and folders of a configuration.
#[derive(Debug, Default)]
pub struct Sources(RefCell<BTreeMap<PathBuf, Source>>);

#[derive(Debug)]
struct Source {
    stamp: Stamp,
    /// The digest of the content, if the content is a part of the configuration. `None` if what uses the file follows it by
    /// itself, or if the file can't be read.
    content: Option<Digest>,
    /// Whether it decides which plugins run.
    is_guarded: bool,
}

impl Sources {
    /// Notes a file or folder that is about to be read. Its changes are followed by what uses it.
    pub fn note(&self, path: &Path) {
        self.insert(path, |_| None);
    }

    /// Notes a file that is about to be read and whose content is a part of the configuration.
    pub fn note_content(&self, path: &Path) {
        self.insert(path, |path| {
            // What is read from a pipe is gone.
            let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
            let content = is_file.then(|| read_bytes(path, MAX_FILE).ok())?;
            Some(Digest::of(&content?))
        });
    }

    /// Notes a component and its signature, which are about to be read, or looked for.
    pub fn note_component(&self, path: &Path) {
        for path in [path, &signature::beside(path)] {
            self.note(path);
            self.guard(path);
        }
    }

    /// Says of a file or folder that was noted that it decides which plugins run.
    pub fn guard(&self, path: &Path) {
        if let Some(source) = self.0.borrow_mut().get_mut(path) {
            source.is_guarded = true;
        }
    }

    /// The files and folders that decide which plugins run. Some may not exist.
    pub fn guarded(&self) -> Vec<PathBuf> {
        let sources = self.0.borrow();
        let guarded = sources.iter().filter(|(_, source)| source.is_guarded);
        guarded.map(|(path, _)| path.clone()).collect()
    }

    /// Whether this file or folder was noted.
    pub(crate) fn is_noted(&self, path: &Path) -> bool {
        self.0.borrow().contains_key(path)
    }

    /// The digest of a file's content. `None` if the content isn't a part of the configuration.
    pub fn content(&self, path: &Path) -> Option<Digest> {
        self.0.borrow().get(path)?.content
    }

    /// The digest of all files of a folder whose contents are a part of the configuration, with their names.
    pub fn contents_below(&self, folder: &Path, ending: &str) -> Digest {
        let sources = self.0.borrow();
        let mut all = String::new();
        for (path, source) in sources.iter() {
            let name = path.file_name().and_then(|name| name.to_str());
            if path.parent() == Some(folder)
                && let (Some(name), Some(content)) = (name.filter(|name| name.ends_with(ending)), source.content)
            {
                all.push_str(&format!("{name:?} {content} "));
            }
        }
        Digest::of(all.as_bytes())
    }

    /// What a reload watches.
    pub fn into_watched(self) -> Vec<(PathBuf, Stamp)> {
        let sources = self.0.into_inner().into_iter();
        sources.map(|(path, source)| (path, source.stamp)).collect()
    }

    /// The first state is kept if a file is read twice, so that a change between the two is seen.
    fn insert(&self, path: &Path, content: impl FnOnce(&Path) -> Option<Digest>) {
        let mut sources = self.0.borrow_mut();
        let source = sources.entry(path.to_owned()).or_insert_with(|| Source {
            stamp: Stamp::of(path),
            content: None,
            is_guarded: false,
        });
        if source.content.is_none() {
            source.content = content(path);
        }
    }
}

/// The maximum size of a file whose content is compared, in bytes. No larger one can be a part of a configuration.
const MAX_FILE: u64 = 1 << 20;
