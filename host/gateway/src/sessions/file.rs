//! The file in which revocations outlast a restart: a line of text, and records of 28 bytes behind it. Processes with the same
//! folder read each other's records.

use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use portcullis::session::Revocation;
use portcullis::session::Revocations;
use tempfile::NamedTempFile;

const HEADER: &[u8] = b"portcullis revocations 1\n";

/// A key, a time and their checksum (CRC-32).
const RECORD: usize = 16 + 8 + 4;

/// The key of the record that ends all sessions.
const ALL: [u8; 16] = [0xff; 16];

/// How many records the file may have beside those that count, before it is written anew.
const SLACK: u64 = 4096;

/// How long another process may have the lock. It needs it for some milliseconds.
const MAX_LOCKED: Duration = Duration::from_secs(5);

/// The most bytes that are read at once.
const MAX_READ: u64 = 512 << 20;

/// The file, and how far it was read.
#[derive(Debug)]
pub(super) struct RevocationFile {
    folder: PathBuf,
    path: PathBuf,
    /// The file that was read, and until where. `None` before the first one.
    known: Option<(u64, u64)>,
}

impl RevocationFile {
    /// The file in a state folder, which exists.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            path: folder.join("revocations"),
            known: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what the file says to the list, if it has grown.
    pub(super) fn read(&mut self, list: &Revocations) -> io::Result<()> {
        let is_known = match (self.path.metadata(), self.known) {
            (Ok(found), Some(known)) => (found.ino(), found.len()) == known,
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => true,
            _ => false,
        };
        if is_known {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.read_locked(list)?;
        Ok(())
    }

    /// Adds revocations to the file. What others have added meanwhile is read.
    pub(super) fn append(&mut self, list: &Revocations, revocations: &[Revocation]) -> io::Result<()> {
        let _lock = self.lock()?;
        let Some(mut file) = self.read_locked(list)? else {
            return self.rewrite(list);
        };
        let records = Vec::from_iter(revocations.iter().flat_map(record));
        file.write_all(&records)?;
        file.sync_data()?;
        let (inode, length) = (file.metadata()?.ino(), file.metadata()?.len());
        self.known = Some((inode, length));
        let needed = u64::try_from(list.len()).unwrap_or(u64::MAX);
        if length / RECORD as u64 > needed.saturating_mul(2).saturating_add(SLACK) {
            self.rewrite(list)?;
        }
        Ok(())
    }

    /// Writes the list anew, as a whole.
    pub(super) fn replace(&mut self, list: &Revocations) -> io::Result<()> {
        let _lock = self.lock()?;
        self.read_locked(list)?;
        self.rewrite(list)
    }

    fn rewrite(&mut self, list: &Revocations) -> io::Result<()> {
        let mut bytes = HEADER.to_vec();
        if let Some(begun_until) = list.all_until() {
            bytes.extend(record(&Revocation { key: ALL, begun_until }));
        }
        bytes.extend(list.entries().iter().flat_map(record));
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        let file = file.persist(&self.path).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()?;
        let metadata = file.metadata()?;
        self.known = Some((metadata.ino(), metadata.len()));
        Ok(())
    }

    /// Only one process at a time reads and writes. The lock has a file of its own, because this one is replaced.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(self.folder.join("revocations.lock"))?;
        let begun = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if begun.elapsed() < MAX_LOCKED => {
                    thread::sleep(Duration::from_millis(5))
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Adds what is new to the list. Returns the file, to write at its end. `None` if there is none, or if it was broken.
    fn read_locked(&mut self, list: &Revocations) -> io::Result<Option<File>> {
        let mut file = match OpenOptions::new().read(true).append(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let begin = match self.known {
            Some((inode, read)) if inode == metadata.ino() && read <= metadata.len() => read,
            _ => 0,
        };
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        (&mut file).take(MAX_READ).read_to_end(&mut bytes)?;
        let records = match begin {
            0 => bytes.strip_prefix(HEADER),
            _ => Some(bytes.as_slice()),
        };
        let Some((records, torn)) = records.map(<[u8]>::as_chunks::<RECORD>) else {
            self.broken(list, "it doesn't begin as it should");
            return Ok(None);
        };
        let Some(found) = records.iter().map(parse).collect::<Option<Vec<_>>>() else {
            self.broken(list, "a checksum is wrong");
            return Ok(None);
        };
        for revocation in found {
            match revocation.key {
                ALL => list.revoke_all(revocation.begun_until),
                _ => list.add(revocation),
            }
        }
        let length = metadata.len().max(begin) - torn.len() as u64;
        if !torn.is_empty() {
            tracing::warn!(
                file = %self.path.display(),
                "the last record of a session that is over was cut off, as by a crash: that session may be valid"
            );
            file.set_len(length)?;
        }
        self.known = Some((metadata.ino(), length));
        Ok(Some(file))
    }

    /// It isn't known who was signed out: nobody who had a session until now has one any more.
    fn broken(&mut self, list: &Revocations, why: &str) {
        let kept = self.path.with_extension("broken");
        tracing::error!(
            file = %self.path.display(),
            why,
            kept_as = %kept.display(),
            "it can't be read which sessions are over: all that began until now are, and everybody logs in again"
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        list.revoke_all(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        // It is replaced next, whether it can be kept aside or not.
        let _ = std::fs::rename(&self.path, kept);
        self.known = None;
    }
}

fn record(revocation: &Revocation) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let time = revocation.begun_until.to_be_bytes();
    let content = [&revocation.key[..], &time].concat();
    let sum = crc32fast::hash(&content).to_be_bytes();
    let bytes = content.iter().chain(&sum);
    record.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    record
}

fn parse(record: &[u8; RECORD]) -> Option<Revocation> {
    let (content, sum) = record.split_last_chunk::<4>()?;
    let (key, time) = content.split_first_chunk::<16>()?;
    let is_whole = crc32fast::hash(content).to_be_bytes() == *sum;
    is_whole.then_some(Revocation {
        key: *key,
        begun_until: u64::from_be_bytes(*time.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn list() -> Revocations {
        Revocations::new(100_000, Duration::from_secs(3600))
    }

    fn now() -> u64 {
        u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
    }

    fn revocation(n: u32) -> Revocation {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&n.to_be_bytes());
        Revocation {
            key,
            begun_until: now() - 1000,
        }
    }

    /// Adds to a list and its file, as a process does.
    fn revoke(file: &mut RevocationFile, list: &Revocations, numbers: impl IntoIterator<Item = u32>) {
        let revocations = Vec::from_iter(numbers.into_iter().map(revocation));
        revocations.iter().for_each(|revocation| list.add(*revocation));
        file.append(list, &revocations).unwrap();
    }

    fn read(folder: &Path) -> Revocations {
        let list = list();
        RevocationFile::new(folder).read(&list).unwrap();
        list
    }

    #[test]
    fn what_is_revoked_is_read_at_the_next_start_and_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, one_list) = (RevocationFile::new(folder.path()), list());
        one.read(&one_list).unwrap();
        assert!(!one.path().exists());
        revoke(&mut one, &one_list, [1, 2]);
        let (mut other, other_list) = (RevocationFile::new(folder.path()), list());
        other.read(&other_list).unwrap();
        revoke(&mut other, &other_list, [3]);
        revoke(&mut one, &one_list, [4]);
        other.read(&other_list).unwrap();
        one_list.revoke_all(77);
        one.replace(&one_list).unwrap();
        revoke(&mut other, &other_list, [5]);
        one.read(&one_list).unwrap();
        for list in [&one_list, &other_list, &read(folder.path())] {
            assert_eq!((list.len(), list.all_until()), (5, Some(77)));
        }
        assert_eq!(one.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_file_stays_in_proportion_to_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, list) = (RevocationFile::new(folder.path()), list());
        for _ in 0..3 {
            // The same sessions again and again.
            revoke(&mut file, &list, (0..4000).map(|n| n % 10));
        }
        let records = (file.path().metadata().unwrap().len() as usize - HEADER.len()) / RECORD;
        assert!(records <= 4096 + 20, "{records}");
        assert_eq!(read(folder.path()).len(), 10);
    }

    #[test]
    fn a_crash_costs_one_record_and_damage_ends_all_sessions() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, own) = (RevocationFile::new(folder.path()), list());
        revoke(&mut file, &own, [1, 2, 3]);
        let path = file.path().to_owned();
        let whole = fs::read(&path).unwrap();
        for cut in 1..RECORD {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let found = read(folder.path());
            assert_eq!((found.len(), found.all_until()), (2, None), "{cut}");
            assert_eq!(path.metadata().unwrap().len() as usize, whole.len() - RECORD);
        }
        for at in (0..whole.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let before = now();
            let found = read(folder.path());
            assert!(found.all_until().is_some_and(|until| until >= before), "{at}");
            assert_eq!(fs::read(path.with_extension("broken")).unwrap(), damaged);
            assert!(!path.exists());
        }
    }
}
