//! Reads files that a configuration names, up to a maximum size. Secret files must not be accessible to other users, and
//! files that decide which plugins run must not be writable for them.

use std::fmt;
use std::fs::File;
use std::fs::Metadata;
use std::io::Read;
use std::path::Path;

/// Reads a file of at most `limit` bytes. The error is the rest of a sentence that begins with the file's name.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("can't be opened: {error}"))?;
    read(file, limit)
}

fn read(file: File, limit: u64) -> Result<Vec<u8>, String> {
    // A vector that grows while it is filled is copied again and again. What the system says of the size is only a hint.
    let size = file.metadata().map_or(0, |metadata| metadata.len().min(limit));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("is larger than {limit} bytes"));
    }
    Ok(bytes)
}

/// Reads a UTF-8 file of at most `limit` bytes. The error is the rest of a sentence that begins with the file's name.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|_| "is not UTF-8".to_owned())
}

/// Reads a private file (see [`require_private`]) of at most `limit` bytes. The error names the file.
pub fn private_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    require_private(path)?;
    read_bytes(path, limit).map_err(|error| format!("{} {error}", path.display()))
}

/// Returns an error if other users can access the file, or if its group can write to it.
#[cfg(unix)]
pub fn require_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    // The caller reads the file next. That fails too, with a better error.
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o777;
    // The group may read, because Kubernetes gives a secret to a process that isn't root in this way.
    if mode & 0o027 != 0 {
        let path = path.display();
        return Err(format!(
            "{path} is accessible to other users (mode {mode:04o}); run: chmod 600 {path}, or 640 if its group needs to \
             read it; in Kubernetes, set defaultMode: 0440 on the secret and an fsGroup on the pod"
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn require_private(_path: &Path) -> Result<(), String> {
    Ok(())
}

/// Why a file can't be read that only the gateway's own user and root may write.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is no third kind: it may be trusted, or not"
)]
pub enum Unreadable {
    /// Other users may write it.
    Unguarded(String),
    /// It can't be read, or it is too large.
    Broken(String),
}

impl fmt::Display for Unreadable {
    /// The rest of a sentence that begins with the file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unguarded(why) | Self::Broken(why) => f.write_str(why),
        }
    }
}

/// Reads a file of at most `limit` bytes that belongs to root or to the user of this process, and that not every user may
/// write.
pub fn read_guarded(path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let file = open_at_once(path).map_err(Unreadable::Broken)?;
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| Unreadable::Broken(format!("can't be read: {error}")))?;
    if !metadata.is_file() {
        return Err(Unreadable::Broken("isn't a regular file".to_owned()));
    }
    require_guarded(path, &metadata).map_err(Unreadable::Unguarded)?;
    read(file, limit).map_err(Unreadable::Broken)
}

/// Opens a file without waiting for the other end of a pipe.
fn open_at_once(path: &Path) -> Result<File, String> {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.read(true).open(path);
    file.map_err(|error| format!("can't be opened: {error}"))
}

/// Returns an error unless the folder belongs to root or to the user of this process, and not every user may change its
/// files. The error is the rest of a sentence that begins with the folder's name.
pub fn require_guarded_folder(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Ok(metadata) => require_guarded(path, &metadata),
        // The caller reads the folder next. That fails too, with a better error.
        Err(_) => Ok(()),
    }
}

#[cfg(unix)]
fn require_guarded(path: &Path, metadata: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    let (path, mode, owner) = (path.display(), metadata.mode() & 0o7777, metadata.uid());
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != own {
        return Err(format!(
            "belongs to the user with the number {owner}, who could replace it: it must belong to root or to the user of \
             the gateway, whose number is {own}; run: chown root {path}"
        ));
    }
    // In a folder with the sticky bit, nobody else can rename or delete a file, and the owner of each is checked.
    let is_sticky_folder = metadata.is_dir() && mode & 0o1000 != 0;
    if mode & 0o002 != 0 && !is_sticky_folder {
        let hint = match metadata.is_dir() {
            true => "; in Kubernetes, use a folder inside of the volume",
            false => "",
        };
        return Err(format!(
            "is writable for every user (mode {mode:04o}); run: chmod o-w {path}{hint}"
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn require_guarded(_path: &Path, _metadata: &Metadata) -> Result<(), String> {
    Ok(())
}

/// Whether the group of a file or folder may write to it. Kubernetes gives a volume to a process that isn't root in this way.
pub fn is_writable_for_group(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        path.metadata().is_ok_and(|metadata| metadata.mode() & 0o020 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests;
