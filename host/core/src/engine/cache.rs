//! Compiled components on disk, named after the component's SHA-256 and the engine's configuration. The files are
//! machine code, so the directory must not be writable for other users, and an incomplete file is ignored. The directory
//! is bounded: what was not used for the longest time goes first.
//!
//! The process copies an entry once into a sealed file in memory, and maps that file. If an entry is damaged or removed later, the
//! code that runs stays as it is.

mod anonymous;

use std::fmt;
use std::fs;
use std::fs::File;
use std::hash::Hash;
use std::hash::Hasher;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use aws_lc_rs::digest;
use tempfile::NamedTempFile;

pub(crate) use self::anonymous::path as path_of_code;

/// Length of a SHA-256, in bytes.
const DIGEST: usize = 32;
/// Length of the checksum behind the code, a CRC-32 in little-endian order.
const CHECKSUM: usize = 4;
/// How many bytes of an entry are read at once to check it.
const READ_AT_ONCE: usize = 256 << 10;

/// Machine code from the directory, whose checksum is right.
pub(crate) enum Code {
    /// A sealed copy in memory. It is safe to map, because it can't change.
    File(File),
    /// A copy where the system has no such files.
    Bytes(Vec<u8>),
}

/// Copies the code of an entry of this size. Returns whether it is whole. The checksum detects damage on the disk, and files that
/// a full disk has cut off. It is no cryptographic hash: a user who may write to the directory could replace that, too, and it
/// would take most of the time in which a plugin is loaded.
fn copy(entry: impl Read, size: u64, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> bool {
    let Some(code) = size.checked_sub(CHECKSUM as u64).filter(|code| *code > 0) else {
        return false;
    };
    let mut entry = BufReader::with_capacity(READ_AT_ONCE, entry);
    let mut hasher = crc32fast::Hasher::new();
    let mut left = code;
    while left > 0 {
        let Ok(read @ [_, ..]) = entry.fill_buf() else {
            return false;
        };
        let read = read.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(read);
        hasher.update(read);
        if write(read).is_err() {
            return false;
        }
        let read = read.len();
        left -= read as u64;
        entry.consume(read);
    }
    let mut expected = [0; CHECKSUM];
    entry.read_exact(&mut expected).is_ok() && expected == hasher.finalize().to_le_bytes()
}

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct CompileCache {
    directory: PathBuf,
    max_size: u64,
    /// Whether new entries can be stored. A folder of an image is often read-only.
    is_writable: bool,
}

impl CompileCache {
    /// Opens the directory, or creates it with mode 0700. One that can only be read serves what it has.
    pub(super) fn open(directory: PathBuf) -> Result<Self, UnusableCache> {
        if let Err(problem) = check(&directory) {
            return Err(UnusableCache { directory, problem });
        }
        let written = NamedTempFile::new_in(&directory);
        if let Err(error) = &written {
            tracing::warn!(
                directory = %directory.display(),
                %error,
                "the cache folder can only be read: what it has is used, and anything else is compiled at each start"
            );
        }
        Ok(Self {
            directory,
            max_size: MAX_SIZE,
            is_writable: written.is_ok(),
        })
    }

    /// The machine code for the component with this SHA-256. Returns `None` if it is not stored or incomplete.
    pub(crate) fn find(&self, wasm: &[u8; DIGEST], engine: &wasmtime::Engine) -> Option<Code> {
        let path = self.path(wasm, engine);
        let file = File::open(&path).ok()?;
        // A directory that can't be changed still serves what it has.
        let _ = file.set_modified(SystemTime::now());
        let size = file.metadata().ok()?.len();
        if let Some(mut code) = anonymous::create() {
            let is_whole = copy(&file, size, |part| code.write_all(part));
            return (is_whole && anonymous::seal(&code)).then_some(Code::File(code));
        }
        let mut code = Vec::with_capacity(usize::try_from(size).ok()?);
        let is_whole = copy(&file, size, |part| {
            code.extend_from_slice(part);
            Ok(())
        });
        is_whole.then_some(Code::Bytes(code))
    }

    /// Stores the machine code for the component with this SHA-256. A concurrent reader sees all of it or nothing.
    pub(crate) fn store(&self, wasm: &[u8; DIGEST], engine: &wasmtime::Engine, code: &[u8]) -> io::Result<()> {
        if !self.is_writable {
            return Ok(());
        }
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(code)?;
        file.write_all(&crc32fast::hash(code).to_le_bytes())?;
        file.as_file().sync_all()?;
        let path = self.path(wasm, engine);
        file.persist(&path).map_err(|error| error.error)?;
        self.prune(&path)
    }

    /// Removes what was not used for the longest time until the rest is within the bound. `new` always stays.
    fn prune(&self, new: &Path) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            // Another process may have removed it.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let is_entry = path.extension().is_some_and(|extension| extension == "bin");
            if is_entry && path != new {
                entries.push((metadata.modified()?, metadata.len(), path));
            }
        }
        let mut size = fs::metadata(new)?.len() + entries.iter().map(|(_, size, _)| size).sum::<u64>();
        entries.sort_unstable();
        for (_, entry, path) in entries {
            if size <= self.max_size {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => size = size.saturating_sub(entry),
            }
        }
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

/// The size of all entries, in bytes. A component in Rust takes 1 MiB, and one with an interpreter 40 MiB: some twenty-five of those
/// have room. If fewer had than are in use, each start would compile what the last one has removed.
const MAX_SIZE: u64 = 1 << 30;

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
    // Root could replace this program, too.
    if folder.uid() == 0 || folder.uid() == user(directory).map_err(Problem::Io)? {
        Ok(())
    } else {
        Err(Problem::Foreign)
    }
}

/// The process's user, who owns its entry in `/proc`, and its new files. Asking the system would need an unsafe call.
fn user(directory: &Path) -> io::Result<u32> {
    let entry = fs::metadata("/proc/self");
    let entry = entry.or_else(|_| NamedTempFile::new_in(directory)?.as_file().metadata());
    Ok(entry?.uid())
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

    fn found(cache: &CompileCache, wasm: &[u8; DIGEST]) -> Option<Vec<u8>> {
        Some(match cache.find(wasm, &engine())? {
            Code::File(copy) => fs::read(anonymous::path(&copy)).unwrap(),
            Code::Bytes(code) => code,
        })
    }

    #[test]
    fn an_incomplete_entry_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompileCache::open(folder.path().join("made/on/demand")).unwrap();
        let (engine, wasm) = (engine(), [1; DIGEST]);
        assert_eq!(found(&cache, &wasm), None);
        cache.store(&wasm, &engine, b"code").unwrap();
        assert_eq!(found(&cache, &wasm).as_deref(), Some(&b"code"[..]));
        assert_eq!(found(&cache, &[2; DIGEST]), None);

        let path = cache.path(&wasm, &engine);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[2] ^= 1;
        let longer = [&whole[..], &[0; 4]].concat();
        for damaged in [&b""[..], b"short", &[0; 4], &[0; 64], &whole[..7], &flipped, &longer] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(found(&cache, &wasm), None);
        }
    }

    /// Row E6 of the field reports.
    #[test]
    fn what_was_not_used_for_the_longest_time_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = CompileCache::open(folder.path().to_owned()).unwrap();
        cache.max_size = 3 * (CHECKSUM as u64 + 100);
        let engine = engine();
        let used = |index: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(index);
        for index in 1..=3 {
            cache.store(&[index; DIGEST], &engine, &[0; 100]).unwrap();
            let file = File::open(cache.path(&[index; DIGEST], &engine)).unwrap();
            file.set_modified(used(u64::from(index))).unwrap();
        }
        // The first one is used again, so the second one is the oldest.
        assert!(cache.find(&[1; DIGEST], &engine).is_some());
        cache.store(&[4; DIGEST], &engine, &[0; 100]).unwrap();
        let kept = [1, 2, 3, 4].map(|index| cache.find(&[index; DIGEST], &engine).is_some());
        assert_eq!(kept, [true, false, true, true]);
        // One that is larger than the bound is kept alone.
        cache.store(&[5; DIGEST], &engine, &[0; 1000]).unwrap();
        let kept = [1, 3, 4, 5].map(|index| cache.find(&[index; DIGEST], &engine).is_some());
        assert_eq!(kept, [false, false, false, true]);
    }

    /// Row H10 of the field reports: a filled cache on a read-only disk. Not even root can make a file in this folder.
    #[test]
    fn a_folder_that_can_only_be_read_is_read() {
        let cache = CompileCache::open(PathBuf::from("/proc/self/task")).unwrap();
        assert!(!cache.is_writable);
        let engine = engine();
        cache.store(&[1; DIGEST], &engine, b"code").unwrap();
        assert_eq!(found(&cache, &[1; DIGEST]), None);
        let folder = tempfile::tempdir().unwrap();
        CompileCache::open(folder.path().to_owned())
            .unwrap()
            .store(&[1; DIGEST], &engine, b"code")
            .unwrap();
        let read_only = CompileCache {
            is_writable: false,
            ..CompileCache::open(folder.path().to_owned()).unwrap()
        };
        assert_eq!(found(&read_only, &[1; DIGEST]).as_deref(), Some(&b"code"[..]));
        read_only.store(&[2; DIGEST], &engine, b"code").unwrap();
        assert_eq!(found(&read_only, &[2; DIGEST]), None);
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
