//! The audit file. One process at a time writes to it; it may be moved away at any time, and then the file that has its name next
//! is written to. Beside it, `FILE.chain` has the end of the chain, which outlasts all files.

use std::ffi::OsString;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::sink::Gone;
use super::sink::Opened;
use super::sink::WriteError;
use super::tail::Tail;
use crate::audit_chain::ChainEnd;

/// An open audit file.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    /// The end of the chain. It is locked as long as this process writes.
    chain: File,
    /// How long the file was after the last write, in bytes.
    length: u64,
    /// Whether the next line needs an end of a line before it.
    needs_break: bool,
    /// Whether a part of a line is at the end, which could not be removed.
    is_torn: bool,
}

impl AuditFile {
    /// Opens a file, or makes it. Returns also the end of the chain that goes on in it.
    ///
    /// # Errors
    ///
    /// If it can't be used, or if another process uses it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, ChainEnd, Opened)> {
        let mut file = open(path)?;
        let mut chain = locked_chain(path)?;
        let noted = noted(&mut chain)?;
        let tail = Tail::read(&mut file)?;
        let end = match (tail.end, noted) {
            (Some(last), Some(noted))
                if noted.number > last.number || (noted.number == last.number && noted != last) =>
            {
                tracing::error!(
                    file = %path.display(),
                    last = %last,
                    expected = %noted,
                    "the end of the audit file was removed or changed while no gateway wrote to it"
                );
                noted
            }
            (last, noted) => last.or(noted).unwrap_or_default(),
        };
        let own = Self {
            length: file.metadata()?.len(),
            path: path.to_owned(),
            file,
            chain,
            needs_break: tail.needs_break,
            is_torn: false,
        };
        Ok((own, end, Opened { cut_off: tail.cut_off }))
    }

    /// Whether another file must be opened, or this one anew.
    pub(super) fn gone(&self) -> Option<Gone> {
        let Ok(own) = self.file.metadata() else {
            return Some(Gone::Broken);
        };
        let is_named = self
            .path
            .metadata()
            .is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino()));
        match is_named {
            false => Some(Gone::Moved),
            // Its content may also be copied and removed, as by `copytruncate` of logrotate.
            true if self.is_torn || own.len() < self.length => Some(Gone::Broken),
            true => None,
        }
    }

    /// Opens the file that has the name now.
    pub(super) fn reopen(&mut self) -> io::Result<Opened> {
        let mut file = open(&self.path)?;
        let tail = Tail::read(&mut file)?;
        self.length = file.metadata()?.len();
        self.file = file;
        self.needs_break = tail.needs_break;
        self.is_torn = false;
        Ok(Opened { cut_off: tail.cut_off })
    }

    /// Writes all of the lines, or as good as nothing: what a full disk has taken of them is removed again.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        let broken = if self.needs_break { &b"\n"[..] } else { b"" };
        let bytes = [broken, lines].concat();
        let begin = self.file.metadata().map(|metadata| metadata.len());
        let begin = begin.map_err(|error| WriteError { written: 0, error })?;
        let mut written = 0;
        while written < bytes.len() {
            let error = match self.file.write(bytes.get(written..).unwrap_or_default()) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if written > 0 && self.file.set_len(begin).is_err() {
                // A file that may only grow (chattr +a) keeps it.
                self.is_torn = true;
                let written = written.saturating_sub(broken.len());
                return Err(WriteError { written, error });
            }
            return Err(WriteError { written: 0, error });
        }
        self.needs_break = false;
        self.length = begin.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Waits until the disk has all lines, and notes the end of the chain.
    pub(super) fn keep(&mut self, end: &ChainEnd) -> io::Result<()> {
        self.file.sync_data()?;
        let text = format!("{end}\n");
        self.chain.rewind()?;
        self.chain.write_all(text.as_bytes())?;
        self.chain.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        self.chain.sync_data()
    }
}

/// Opens a file of lines, or makes one.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o640);
    // A pipe would wait for a reader.
    options.custom_flags(NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file: the key socket is for programs that read the lines",
        ));
    }
    Ok(file)
}

/// Opens the file with the end of the chain, which only one process can do at a time.
fn locked_chain(path: &Path) -> io::Result<File> {
    let mut name = OsString::from(path);
    name.push(".chain");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let chain = options.open(&name).map_err(|error| {
        let message = format!("{} can't be opened: {error}", name.display());
        io::Error::new(error.kind(), message)
    })?;
    let begun = Instant::now();
    loop {
        match chain.try_lock() {
            Ok(()) => return Ok(chain),
            Err(TryLockError::WouldBlock) if begun.elapsed() < MAX_LOCKED => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => {
                let message = "another process writes to it: each gateway needs a file of its own";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The end of the chain that was noted last. `None` if there is none yet.
fn noted(chain: &mut File) -> io::Result<Option<ChainEnd>> {
    let mut text = String::new();
    chain.take(MAX_CHAIN).read_to_string(&mut text)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.trim_end().parse().map(Some).map_err(|why| {
        let message = format!("FILE.chain beside it can't be read: {why}; remove it to begin without it");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// `O_NONBLOCK`, which regular files ignore.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// How long an earlier process, or what a reload has replaced, may take to end.
const MAX_LOCKED: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// The longest file with the end of a chain, in bytes.
const MAX_CHAIN: u64 = 256;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sealed(end: &mut ChainEnd) -> Vec<u8> {
        let mut line = Vec::new();
        end.seal(b"\"message\":\"x\"", &mut line);
        line
    }

    #[test]
    fn the_chain_goes_on_in_the_next_process_and_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut file, mut end, _) = AuditFile::open(&path).unwrap();
        assert_eq!(end, ChainEnd::default());
        file.write(&sealed(&mut end)).unwrap();
        file.keep(&end).unwrap();
        file.write(&sealed(&mut end)).unwrap();
        let error = AuditFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("another process writes to it"), "{error}");
        drop(file);
        let (mut file, found, _) = AuditFile::open(&path).unwrap();
        assert_eq!(found, end, "also what follows the last checkpoint");
        file.keep(&end).unwrap();
        drop(file);
        fs::rename(&path, folder.path().join("moved")).unwrap();
        let (_, found, _) = AuditFile::open(&path).unwrap();
        assert_eq!(found, end);
    }

    #[test]
    fn a_file_that_was_moved_or_shortened_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut file, mut end, _) = AuditFile::open(&path).unwrap();
        file.write(&sealed(&mut end)).unwrap();
        assert_eq!(file.gone(), None);
        fs::rename(&path, folder.path().join("moved")).unwrap();
        assert_eq!(file.gone(), Some(Gone::Moved));
        file.write(&sealed(&mut end)).unwrap();
        file.reopen().unwrap();
        assert_eq!(file.gone(), None);
        file.write(&sealed(&mut end)).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!(file.gone(), Some(Gone::Broken));
        fs::write(&path, "").unwrap();
        file.reopen().unwrap();
        assert_eq!(file.gone(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(file.gone(), Some(Gone::Moved));
    }

    #[test]
    fn a_part_of_a_line_at_the_end_is_told_and_followed_by_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut end = ChainEnd::default();
        let first = sealed(&mut end);
        fs::write(&path, [&first, &b"{\"seq\":2"[..]].concat()).unwrap();
        let (mut file, found, opened) = AuditFile::open(&path).unwrap();
        assert_eq!((found, opened.cut_off.map(|cut_off| cut_off.bytes())), (end, Some(8)));
        let second = sealed(&mut end);
        file.write(&second).unwrap();
        assert_eq!(
            fs::read(&path).unwrap(),
            [&first, &b"{\"seq\":2\n"[..], &second].concat()
        );
    }
}
