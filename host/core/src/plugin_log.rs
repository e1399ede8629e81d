//! The log lines of one call of a plugin, bounded in number and size and without control characters. A plugin's stdout
//! and stderr are logged here too, so that a panic message is not lost.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
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
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    left: usize,
    /// The lines of the level WARN and above, which explain a failure.
    warnings: Vec<String>,
}

impl LogLines {
    pub(crate) fn new(authenticator: Arc<str>) -> Self {
        Self {
            authenticator,
            state: Arc::new(Mutex::new(State {
                left: MAX_LINES,
                warnings: Vec::new(),
            })),
        }
    }

    /// Whose log it is.
    pub(crate) fn authenticator(&self) -> &str {
        &self.authenticator
    }

    /// The lines of the level WARN and above so far. What the plugin writes to stderr is among them.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.lock().warnings.clone()
    }

    /// What the plugin said last, for an error: at most three lines. `None` if it said nothing.
    pub(crate) fn last_words(&self) -> Option<String> {
        let state = self.lock();
        let last = state
            .warnings
            .iter()
            .rev()
            .take(MAX_LAST)
            .map(|line| bounded(line))
            .collect::<Vec<_>>();
        (!last.is_empty()).then(|| last.into_iter().rev().collect::<Vec<_>>().join(" | "))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a message of the host about this call.
    pub(crate) fn warn(&self, message: &str) {
        self.write(Level::Warn, "", message);
    }

    pub(crate) fn write(&self, level: Level, context: &str, message: &str) {
        let mut state = self.lock();
        if state.left == 0 {
            return;
        }
        state.left -= 1;
        let cut = if state.left == 0 {
            " (its last line: no more of this call is written)"
        } else {
            ""
        };
        let authenticator = &*self.authenticator;
        let (context, message) = (escaped(context), escaped(message) + cut);
        // Rust's panic handler adds such a line, which says nothing of the cause.
        let is_note = message.contains("RUST_BACKTRACE=1");
        if matches!(level, Level::Warn | Level::Error | Level::Critical) && !is_note {
            state.warnings.push(message.clone());
        }
        drop(state);
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

fn bounded(line: &str) -> &str {
    line.get(..line.floor_char_boundary(MAX_WORDS)).unwrap_or_default()
}

/// How many lines, and how many bytes of each, an error repeats.
const MAX_LAST: usize = 3;
const MAX_WORDS: usize = 200;

fn escaped(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_LINE);
    text.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
