//! The log lines of one call of a plugin, bounded in number and size and without control characters. A plugin's stdout
//! and stderr are logged here too, so that a panic message is not lost.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::contract::wasi::logging::logging::Level;

/// The most lines of one call.
const MAX_LINES: usize = 32;

/// The longest line, in bytes.
const MAX_LINE: usize = 4 * 1024;

/// The log of one call. A clone writes to the same log and counts against the same bound.
#[derive(Clone, Debug)]
pub(crate) struct LogLines {
    authenticator: Arc<str>,
    left: Arc<Mutex<usize>>,
}

impl LogLines {
    pub(crate) fn new(authenticator: Arc<str>) -> Self {
        Self {
            authenticator,
            left: Arc::new(Mutex::new(MAX_LINES)),
        }
    }

    /// Logs a message of the host about this call.
    pub(crate) fn warn(&self, message: &str) {
        self.write(Level::Warn, "", message);
    }

    pub(crate) fn write(&self, level: Level, context: &str, message: &str) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left == 0 {
            return;
        }
        *left -= 1;
        let cut = if *left == 0 {
            " (its last line: no more of this call is written)"
        } else {
            ""
        };
        let authenticator = &*self.authenticator;
        let (context, message) = (escaped(context), escaped(message) + cut);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "portcullis::plugin", authenticator, context, "{message}")
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error | Level::Critical => line!(error),
        }
    }
}

fn escaped(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_LINE);
    text.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
