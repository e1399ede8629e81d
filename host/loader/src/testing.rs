//! What the tests of several modules share.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's allow-unwrap-in-tests covers test functions, but not the helpers that they call"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file and sets its mode, such as 0o600 for a secret.
pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
