//! The key of sessions that nobody has configured: it is made at the first start and kept, so that a restart logs nobody out.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;

use portcullis::session::Key;
use portcullis_loader::files::private_file;
use tempfile::NamedTempFile;

/// The name of the file with the key, in the state folder.
const FILE: &str = "session.key";

/// The largest such file, in bytes. A key has 64 digits.
const MAX_FILE: u64 = 1024;

/// Makes the state folder, for this user alone. The error is a sentence.
pub(super) fn make(folder: &Path) -> Result<(), String> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(folder);
    made.map_err(|error| format!("the folder {} can't be made: {error}", folder.display()))
}

/// The key that is kept in the state folder. If there is none, a new one is kept there, unless `is_kept` is false. Processes that
/// start at the same time get the same key. The error is a sentence.
pub(crate) fn kept_key(folder: Option<&Path>, is_kept: bool) -> Result<Key, String> {
    let Some(folder) = folder else {
        return Err(
            "there is no key, and no folder to keep one in: set keys = [\"file:PATH\"], or state = \"DIR\" at the top of the file"
                .to_owned(),
        );
    };
    if let Some(key) = read(folder)? {
        return Ok(key);
    }
    let key = Key::generate().map_err(|error| error.to_string())?;
    if !is_kept {
        return Ok(key);
    }
    make(folder)?;
    let path = folder.join(FILE);
    let failed = |error| {
        format!(
            "the key of sessions can't be kept in {}: {error}; set keys, or state to another folder",
            path.display()
        )
    };
    // Its mode is 0600. It gets its name when it is whole, and only if no other process was faster.
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    writeln!(file, "{}", key.to_hex()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(&path) {
        Ok(_) => {
            tracing::info!(file = %path.display(), "a key for sessions was made and is kept there");
            Ok(key)
        }
        Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => {
            read(folder)?.ok_or_else(|| format!("{} has gone while it was read", path.display()))
        }
        Err(error) => Err(failed(error.error)),
    }
}

/// The key in a folder. `None` if there is no file.
fn read(folder: &Path) -> Result<Option<Key>, String> {
    let path = folder.join(FILE);
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let bytes = private_file(&path, MAX_FILE)?;
    let key = str::from_utf8(&bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    let key = Key::from_hex(key).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    use super::*;

    #[test]
    fn processes_that_start_together_have_one_key() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/state");
        let keys = thread::scope(|scope| {
            let threads =
                Vec::from_iter((0..8).map(|_| scope.spawn(|| kept_key(Some(&folder), true).unwrap().to_hex())));
            Vec::from_iter(threads.into_iter().map(|thread| thread.join().unwrap()))
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        let path = folder.join(FILE);
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), keys[0]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left there");
        assert_eq!(kept_key(Some(&folder), false).unwrap().to_hex(), keys[0]);
    }

    #[test]
    fn a_key_that_is_in_doubt_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(FILE);
        for (text, mode, expected) in [
            ("x", 0o600, "expected 32 random bytes"),
            ("", 0o600, "expected 32 random bytes"),
            (&"ab01".repeat(16), 0o644, "accessible to other users"),
            (&"ab".repeat(2000), 0o600, "is larger than 1024 bytes"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = kept_key(Some(place.path()), true).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(kept_key(None, true).unwrap_err().contains("state = \"DIR\""));
        let nowhere = place.path().join("nowhere");
        assert!(kept_key(Some(&nowhere), false).is_ok());
        assert!(!nowhere.exists(), "a command that only examines keeps nothing");
    }
}
