//! Helpers that write files for the tests of several modules.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// Makes a folder with the configuration as `portcullis.toml` and the built-in `simple` as `simple.wasm`.
pub(crate) fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.toml"), config).unwrap();
    fs::write(folder.path().join("simple.wasm"), simple()).unwrap();
    folder
}

/// Returns the component of the built-in `simple`.
pub(crate) fn simple() -> &'static [u8] {
    portcullis_plugins::find("simple").unwrap()
}

/// Writes a file and sets its mode, such as 0o600 for a secret.
pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
