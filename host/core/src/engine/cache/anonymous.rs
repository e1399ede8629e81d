//! Sealed files in memory, without a name (memfd_create(2), fcntl(2) F_ADD_SEALS). Their content can't change. Unlike a file on a
//! disk, such a file can be mapped without fear: the process would be killed by a signal if somebody shortened what it has
//! mapped.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// A new, empty file. `None` if the system has none, or no name by which it could be opened.
#[cfg(target_os = "linux")]
pub(super) fn create() -> Option<File> {
    use rustix::fs::MemfdFlags;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("portcullis-code", flags).ok()?;
    Some(File::from(file)).filter(|file| path(file).exists())
}

/// Makes a file what it is for good. Returns whether it is.
#[cfg(target_os = "linux")]
pub(super) fn seal(file: &File) -> bool {
    use rustix::fs::SealFlags;

    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(file, seals).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn create() -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn seal(_file: &File) -> bool {
    false
}

/// The name by which this process can open it, as long as it is open.
pub(crate) fn path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
