//! What was pulled before, on disk: each file is named by the digest of its content, written at once, and verified whenever
//! it is read. Several processes may share a store.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::MAX_SIGNATURE;
use crate::digest::Digest;

/// How many signatures of one component are read.
pub(crate) const MAX_SIGNATURES: usize = 32;

/// How many bytes all manifests and components together may have. Beyond, those are deleted that were used longest ago.
const MAX_TOTAL: u64 = 4 << 30;

/// A folder with `sha256/DIGEST` for manifests and components, and `signatures/DIGEST/DIGEST` for the signatures of the
/// component whose manifest has the first digest.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    limit: u64,
}

impl Store {
    /// The store in this folder, which is made when something is stored.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            limit: MAX_TOTAL,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the content with this digest, of at most `limit` bytes. `None` if it isn't there, or isn't what it should be any
    /// more.
    pub(crate) fn read(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let path = self.blob(digest);
        let bytes = read(&path, limit)?;
        if Digest::of(&bytes) != *digest {
            tracing::warn!(file = %path.display(), "a file of the store is damaged, and is pulled again");
            return None;
        }
        // What is used is kept. If the store can't be written, nothing is deleted either.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Stores content.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        write(&self.blob(&Digest::of(bytes)), bytes)?;
        self.prune()
    }

    /// The signatures of the component whose manifest has this digest. They aren't verified.
    pub(crate) fn signatures(&self, manifest: &Digest) -> Vec<Vec<u8>> {
        let Ok(entries) = self.signature_folder(manifest).read_dir() else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let named = paths.filter(|path| {
            path.file_name()
                .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        });
        named
            .take(MAX_SIGNATURES)
            .filter_map(|path| read(&path, MAX_SIGNATURE))
            .collect()
    }

    /// Stores a signature, which the caller has verified.
    pub(crate) fn write_signature(&self, manifest: &Digest, signature: &[u8]) -> io::Result<()> {
        let name = Digest::of(signature).hex();
        write(&self.signature_folder(manifest).join(name), signature)
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("sha256").join(digest.hex())
    }

    fn signature_folder(&self, manifest: &Digest) -> PathBuf {
        self.folder.join("signatures").join(manifest.hex())
    }

    /// Deletes what was used longest ago while there is too much.
    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in self.folder.join("sha256").read_dir()? {
            // Another process may delete it meanwhile.
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            files.push((metadata.modified().ok(), metadata.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= self.limit {
                break;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => total = total.saturating_sub(size),
            }
        }
        Ok(())
    }
}

/// Reads a file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    // Not a pipe, which would never end.
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

/// Writes a file aside, and then gives it its name.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    // Nothing in it is secret to the users of this machine beyond what the folder allows.
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_found_until_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("deep/store"));
        let digest = Digest::of(b"content");
        assert_eq!(store.read(&digest, 100), None);
        store.write(b"content").unwrap();
        store.write(b"content").unwrap();
        assert_eq!(store.read(&digest, 7).as_deref(), Some(&b"content"[..]));
        assert_eq!(store.read(&digest, 6), None);
        fs::write(store.blob(&digest), b"c0ntent").unwrap();
        assert_eq!(store.read(&digest, 100), None);
        store.write(b"content").unwrap();
        assert!(store.read(&digest, 100).is_some());
        let left = Vec::from_iter(store.folder().join("sha256").read_dir().unwrap());
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn what_was_used_longest_ago_is_deleted_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store {
            folder: folder.path().to_owned(),
            limit: 10,
        };
        for (age, content) in [(3, b"aaaa"), (2, b"bbbb")] {
            store.write(content).unwrap();
            let file = File::open(store.blob(&Digest::of(content))).unwrap();
            let past = SystemTime::now() - std::time::Duration::from_secs(age * 3600);
            file.set_modified(past).unwrap();
        }
        assert!(store.read(&Digest::of(b"aaaa"), 10).is_some());
        store.write(b"cccc").unwrap();
        let has = |content: &[u8]| store.read(&Digest::of(content), 10).is_some();
        assert_eq!([has(b"aaaa"), has(b"bbbb"), has(b"cccc")], [true, false, true]);
    }

    #[test]
    fn signatures_belong_to_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let manifest = Digest::of(b"manifest");
        assert!(store.signatures(&manifest).is_empty());
        store.write_signature(&manifest, b"one").unwrap();
        store.write_signature(&manifest, b"one").unwrap();
        assert_eq!(store.signatures(&manifest), [b"one"]);
        assert!(store.signatures(&Digest::of(b"other")).is_empty());
    }
}
