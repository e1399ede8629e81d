//! The file of a Unix socket. A file that a dead process left behind is replaced, a file of a live process never is.
//! The file is removed when the gateway stops.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use socket2::Domain;
use socket2::SockAddr;
use socket2::Socket;
use socket2::Type;

use crate::transport::socket::BACKLOG;

/// The file of a socket, which is removed on drop.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode. At the end, the path may belong to another process's file.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at a path. No client can connect before the file has its mode.
    pub(super) fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, Self)> {
        // Two processes that start together could each mistake the other's file for one of a dead process.
        let _lock = lock_folder(path)?;
        remove_if_dead(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let metadata = fs::symlink_metadata(path)?;
        let file = Self {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        };
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        Ok((socket.into(), file))
    }

    /// Changes the permissions of the file.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::Error::other("its file was replaced or removed by another program"));
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }

    /// Whether the path still leads to the file of this socket, and not by a link.
    fn is_ours(&self) -> bool {
        let is_ours = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        fs::symlink_metadata(&self.path).is_ok_and(is_ours)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the file of a socket can't be removed");
        }
    }
}

/// Locks the folder until the returned file is dropped.
fn lock_folder(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or_else(|| Path::new(".")))?;
    for _ in 0..LOCK_ATTEMPTS {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another process keeps the folder locked"))
}

fn remove_if_dead(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        let message = "the path exists and is no socket; remove it, or listen elsewhere";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A process that can't be reached may still be alive.
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

const LOCK_ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_file_has_its_mode_and_is_removed_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        for wanted in [0o600, 0o666] {
            let (_listener, _file) = SocketFile::listen(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted);
            UnixStream::connect(&path).unwrap();
        }
        assert!(!path.exists());
    }

    #[test]
    fn the_socket_of_a_dead_process_is_replaced_but_not_that_of_a_live_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let dead = UnixListener::bind(&path).unwrap();
        let refused = SocketFile::listen(&path, 0o600).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(dead);
        let (_listener, _file) = SocketFile::listen(&path, 0o600).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn no_other_file_is_replaced_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "content").unwrap();
        assert_eq!(
            SocketFile::listen(&path, 0o600).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
        fs::remove_file(&path).unwrap();

        let (listener, file) = SocketFile::listen(&path, 0o600).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "content").unwrap();
        drop((listener, file));
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    }
}
