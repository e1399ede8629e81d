//! A Unix socket whose reader gets the lines. A reader that is slow is waited for; one that is gone is looked for again.

use std::io;
use std::io::ErrorKind;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::sink::WriteError;

/// A connection to the program that listens at a Unix socket.
#[derive(Debug)]
pub(super) struct AuditSocket {
    path: PathBuf,
    stream: Option<UnixStream>,
}

impl AuditSocket {
    /// A socket that isn't connected yet.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stream: None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn connect(&mut self) -> io::Result<()> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_write_timeout(Some(LOOK))?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Writes to the end, however slow the reader is, as long as `waits`, which is asked now and then, returns true.
    pub(super) fn write(&mut self, lines: &[u8], waits: &mut dyn FnMut() -> bool) -> Result<(), WriteError> {
        let mut written = 0;
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            let stream = self.stream.as_mut().ok_or_else(|| ErrorKind::NotConnected.into());
            let error = match stream.and_then(|stream| stream.write(rest)) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(bytes) => {
                    written += bytes;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if is_timeout(&error) && waits() => continue,
                Err(error) => error,
            };
            // What the reader has got of a line is of no use to it. The next connection begins with a whole one.
            self.stream = None;
            return Err(WriteError { written, error });
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// How often it is asked whether a slow reader is waited for.
const LOOK: Duration = Duration::from_millis(250);
