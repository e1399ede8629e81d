//! A plugin's stdout and stderr, whose lines are written to the operator's log. The plugin doesn't inherit the streams
//! of the process.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::WasiCtx;
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

/// The most bytes of one call to `wasi:random`.
const MAX_RANDOM: u64 = 64 << 10;

/// What functions of WASI need. A call makes it when its plugin uses one, since it takes longer to make than all else that a
/// call has.
pub(super) struct Wasi {
    pub(super) ctx: WasiCtx,
    /// The plugin's stdout and stderr.
    pub(super) stdio: [Lines; 2],
}

impl Wasi {
    pub(super) fn new(log: &LogLines) -> Self {
        let stdio = [Lines::stdout(log.clone()), Lines::stderr(log.clone())];
        let [stdout, stderr] = stdio.clone();
        let mut ctx = WasiCtx::builder();
        ctx.stdout(stdout).stderr(stderr).max_random_size(MAX_RANDOM);
        Self {
            ctx: ctx.build(),
            stdio,
        }
    }
}

/// A stream, whose lines are logged with this level and name. A clone is the same stream.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    log: LogLines,
    level: Level,
    name: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The start of a line that has not ended yet.
    pending: Vec<u8>,
    /// How many handles of the stream the plugin has.
    handles: usize,
}

impl Lines {
    pub(super) fn stdout(log: LogLines) -> Self {
        Self {
            log,
            level: Level::Info,
            name: "stdout",
            state: Arc::default(),
        }
    }

    pub(super) fn stderr(log: LogLines) -> Self {
        Self {
            log,
            level: Level::Warn,
            name: "stderr",
            state: Arc::default(),
        }
    }

    /// How many handles of the stream the plugin has.
    pub(super) fn handles(&self) -> usize {
        self.lock().handles
    }

    /// Logs what was written of a line that has no end.
    pub(super) fn end_line(&self) {
        let line = std::mem::take(&mut self.lock().pending);
        if !line.is_empty() {
            self.log.write(self.level, self.name, &String::from_utf8_lossy(&line));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.lock().handles += 1;
        Box::new(Handle(self.clone()))
    }
}

/// A handle of a stream. A line that has no end is logged when it is dropped.
struct Handle(Lines);

impl OutputStream for Handle {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut state = self.0.lock();
            let room = MAX_PENDING.saturating_sub(state.pending.len());
            let text = chunk.iter().take(room).filter(|byte| **byte != b'\n');
            state.pending.extend(text);
            drop(state);
            if chunk.ends_with(b"\n") {
                self.0.end_line();
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
impl Pollable for Handle {
    async fn ready(&mut self) {}
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.end_line();
        self.0.lock().handles -= 1;
    }
}
