//! What the tests of several modules share: helpers that write files, a log that they read, and the table of paths.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
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

/// A log that the test reads. It receives only the lines of its own thread, so these tests run on one thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything that was logged.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines with this message, of a log in JSON.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == message).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One list of `tests/data/paths.json`, which the end-to-end tests read, too.
pub(crate) fn paths(list: &str) -> Vec<String> {
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/paths.json"));
    let table: Value = serde_json::from_str(table).unwrap();
    let lists = match table.get(list).unwrap() {
        Value::Object(kinds) => kinds.values().cloned().collect(),
        other => vec![other.clone()],
    };
    let paths = lists.into_iter().map(serde_json::from_value::<Vec<String>>);
    paths.flat_map(Result::unwrap).collect()
}

/// Those paths of a list that a client can put into a request line as they are.
pub(crate) fn requested_paths(list: &str) -> Vec<String> {
    let is_sendable = |path: &String| {
        path.starts_with('/') && !path.contains('?') && path.bytes().all(|byte| byte.is_ascii_graphic())
    };
    paths(list).into_iter().filter(is_sendable).collect()
}
