//! Compiled components on disk, named after the component's SHA-256 and the engine's configuration. The files are
//! machine code, so the directory must not be writable for other users, and an incomplete file is ignored.

use std::fmt;
use std::fs;
use std::hash::Hash;
use std::hash::Hasher;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use aws_lc_rs::digest;
use tempfile::NamedTempFile;

/// Length of a SHA-256, in bytes.
const DIGEST: usize = 32;

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct CompileCache {
    directory: PathBuf,
}

impl CompileCache {
    /// Opens the directory, or creates it with mode 0700.
    pub(super) fn open(directory: PathBuf) -> Result<Self, UnusableCache> {
        match check(&directory) {
            Ok(()) => Ok(Self { directory }),
            Err(problem) => Err(UnusableCache { directory, problem }),
        }
    }

    /// The machine code for the component with this SHA-256. Returns `None` if it is not stored or incomplete.
    pub(crate) fn find(&self, wasm: &[u8; DIGEST], engine: &wasmtime::Engine) -> Option<Vec<u8>> {
        let entry = fs::read(self.path(wasm, engine)).ok()?;
        let (expected, code) = entry.split_at_checked(DIGEST)?;
        let whole = digest::digest(&digest::SHA256, code).as_ref() == expected;
        whole.then(|| code.to_vec())
    }

    /// Stores the machine code for the component with this SHA-256. A concurrent reader sees all of it or nothing.
    pub(crate) fn store(&self, wasm: &[u8; DIGEST], engine: &wasmtime::Engine, code: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(digest::digest(&digest::SHA256, code).as_ref())?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(self.path(wasm, engine)).map_err(|error| error.error)?;
        Ok(())
    }

    fn path(&self, wasm: &[u8; DIGEST], engine: &wasmtime::Engine) -> PathBuf {
        let mut compatibility = Sha256(digest::Context::new(&digest::SHA256));
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let (wasm, compatibility) = (hex::encode(wasm), hex::encode(compatibility.0.finish()));
        self.directory
            .join(format!("{wasm}-{}.bin", compatibility.get(..16).unwrap_or_default()))
    }
}

/// Why a directory can't be used for compiled components.
#[derive(Debug)]
pub struct UnusableCache {
    directory: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Foreign,
    Io(io::Error),
    Writable(u32),
}

impl fmt::Display for UnusableCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.display();
        match &self.problem {
            Problem::Foreign => write!(
                f,
                "the cache folder {directory} belongs to another user: what lies in it would run as machine code; name \
                 a folder of your own"
            ),
            Problem::Io(error) => write!(f, "the cache folder {directory} can't be used: {error}"),
            Problem::Writable(mode) => write!(
                f,
                "others can write to the cache folder {directory} (mode {mode:o}): what lies in it would run as machine \
                 code; try `chmod 700 {directory}`"
            ),
        }
    }
}

impl std::error::Error for UnusableCache {}

fn check(directory: &Path) -> Result<(), Problem> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(Problem::Io)?;
    let folder = fs::metadata(directory).map_err(Problem::Io)?;
    if folder.mode() & 0o022 != 0 {
        return Err(Problem::Writable(folder.mode() & 0o7777));
    }
    // The owner of a new file is the process's user; asking the system for the user would need an unsafe call.
    let ours = NamedTempFile::new_in(directory)
        .and_then(|file| file.as_file().metadata())
        .map_err(Problem::Io)?;
    if ours.uid() == folder.uid() {
        Ok(())
    } else {
        Err(Problem::Foreign)
    }
}

/// A hasher that stays the same between releases of the standard library, because file names depend on it.
struct Sha256(digest::Context);

impl Hasher for Sha256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn engine() -> wasmtime::Engine {
        wasmtime::Engine::new(&super::super::config()).unwrap()
    }

    #[test]
    fn an_incomplete_entry_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompileCache::open(folder.path().join("made/on/demand")).unwrap();
        let (engine, wasm) = (engine(), [1; DIGEST]);
        assert_eq!(cache.find(&wasm, &engine), None);
        cache.store(&wasm, &engine, b"code").unwrap();
        assert_eq!(cache.find(&wasm, &engine).as_deref(), Some(&b"code"[..]));
        assert_eq!(cache.find(&[2; DIGEST], &engine), None);

        let path = cache.path(&wasm, &engine);
        for damaged in [&b""[..], b"short", &[0; 64]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.find(&wasm, &engine), None);
        }
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o707, 0o777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = CompileCache::open(folder.path().to_owned()).unwrap_err().to_string();
            assert!(error.contains("chmod 700"), "{error}");
        }
    }
}
