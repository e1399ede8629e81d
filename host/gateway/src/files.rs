//! Reads files that a configuration names, up to a maximum size. Secret files must not be accessible to other users.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file of at most `limit` bytes. The error is the rest of a sentence that begins with the file's name.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("can't be opened: {error}"))?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("is larger than {limit} bytes"));
    }
    Ok(bytes)
}

/// Reads a UTF-8 file of at most `limit` bytes. The error is the rest of a sentence that begins with the file's name.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|_| "is not UTF-8".to_owned())
}

/// Reads a private file (see [`require_private`]) of at most `limit` bytes. The error names the file.
pub(crate) fn private_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    require_private(path)?;
    read_bytes(path, limit).map_err(|error| format!("{} {error}", path.display()))
}

/// Returns an error if other users can access the file, or if its group can write to it.
#[cfg(unix)]
pub(crate) fn require_private(path: &Path) -> Result<(), String> {
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
pub(crate) fn require_private(_path: &Path) -> Result<(), String> {
    Ok(())
}
