//! Files that a configuration names, read within a bound. What is wrong with one is said in words that complete a sentence
//! with its name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file of at most `limit` bytes. The error completes a sentence that names the file.
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

/// Reads a text file of at most `limit` bytes. The error completes a sentence that names the file.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|_| "is not UTF-8".to_owned())
}

/// The bytes of a file that only its owner may read.
pub(crate) fn private_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    require_private(path)?;
    read_bytes(path, limit).map_err(|error| format!("{} {error}", path.display()))
}

/// Refuses a file that others than its owner and its group may read.
#[cfg(unix)]
pub(crate) fn require_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    // A file that can't be looked at can't be read either, and reading says why.
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o777;
    // The group may read: so does Kubernetes hand a secret to a process that isn't root.
    if mode & 0o027 != 0 {
        let path = path.display();
        return Err(format!(
            "{path} is open to others (mode {mode:04o}); run: chmod 600 {path}, or 640 where its group reads it; in \
             Kubernetes: defaultMode: 0440 for the secret, and an fsGroup for the pod"
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn require_private(_path: &Path) -> Result<(), String> {
    Ok(())
}
