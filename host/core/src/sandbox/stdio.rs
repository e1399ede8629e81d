//! A plugin's stdout and stderr, whose lines are written to the operator's log. The plugin doesn't inherit the streams
//! of the process.

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::IsTerminal;
use wasmtime_wasi::cli::StdoutStream;
use wasmtime_wasi::p2::OutputStream;
use wasmtime_wasi::p2::Pollable;
use wasmtime_wasi::p2::StreamResult;

use crate::contract::wasi::logging::logging::Level;
use crate::plugin_log::LogLines;

/// The longest line, in bytes. The rest is dropped.
const MAX_PENDING: usize = 4 * 1024;

/// A stream, whose lines are logged with this level and name.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    log: LogLines,
    level: Level,
    name: &'static str,
}

impl Lines {
    pub(super) fn stdout(log: LogLines) -> Self {
        Self {
            log,
            level: Level::Info,
            name: "stdout",
        }
    }

    pub(super) fn stderr(log: LogLines) -> Self {
        Self {
            log,
            level: Level::Warn,
            name: "stderr",
        }
    }

    fn write(&self, line: &[u8]) {
        if !line.is_empty() {
            self.log.write(self.level, self.name, &String::from_utf8_lossy(line));
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Pending {
            lines: self.clone(),
            bytes: Vec::new(),
        })
    }
}

/// The start of a line that has not ended yet. It is logged when the stream is dropped.
struct Pending {
    lines: Lines,
    bytes: Vec<u8>,
}

impl OutputStream for Pending {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_PENDING.saturating_sub(self.bytes.len());
            self.bytes
                .extend(chunk.iter().take(room).filter(|byte| **byte != b'\n'));
            if chunk.ends_with(b"\n") {
                self.lines.write(&std::mem::take(&mut self.bytes));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_PENDING)
    }
}

#[async_trait]
impl Pollable for Pending {
    async fn ready(&mut self) {}
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.lines.write(&self.bytes);
    }
}
