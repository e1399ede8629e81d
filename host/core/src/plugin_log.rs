//! The log lines of one call of a plugin, bounded in number and size and without control characters. A plugin's stdout
//! and stderr are logged here too, so that a panic message is not lost.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::contract::wasi::logging::logging::Level;
use crate::role::PluginName;

/// The most lines of one call.
const MAX_LINES: usize = 32;

/// The longest line, in bytes.
const MAX_LINE: usize = 4 * 1024;

/// The log of one call. A clone writes to the same log and counts against the same bound.
#[derive(Clone, Debug)]
pub(crate) struct LogLines {
    name: PluginName,
    /// The least severe level that is written. `None` if only the application's log decides.
    level: Option<tracing::Level>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    left: usize,
    /// The id of the request that the call is about.
    request_id: Option<String>,
    /// The lines of the level WARN and above, which explain a failure.
    warnings: Vec<String>,
}

impl LogLines {
    pub(crate) fn new(name: PluginName, level: Option<tracing::Level>) -> Self {
        Self {
            name,
            level,
            state: Arc::new(Mutex::new(State {
                left: MAX_LINES,
                request_id: None,
                warnings: Vec::new(),
            })),
        }
    }

    /// Begins the log of another call.
    pub(crate) fn renew(&self) {
        let mut state = self.lock();
        state.left = MAX_LINES;
        state.request_id = None;
        state.warnings.clear();
    }

    /// Says which request the call is about.
    pub(crate) fn set_request(&self, id: Option<&str>) {
        self.lock().request_id = id.map(str::to_owned);
    }

    /// Whose log it is.
    pub(crate) const fn name(&self) -> &PluginName {
        &self.name
    }

    /// The lines of the level WARN and above so far. What the plugin writes to stderr is among them.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.lock().warnings.clone()
    }

    /// What the plugin said, for an error: its first lines and its last ones, because interpreters say first why they
    /// fail (JavaScript) or last (Python). `None` if it said nothing.
    pub(crate) fn words(&self) -> Option<String> {
        let state = self.lock();
        let lines = Vec::from_iter(state.warnings.iter().map(|line| bounded(line)));
        let (first, rest) = lines.split_at(lines.len().min(MAX_FIRST));
        let (left_out, last) = rest.split_at(rest.len().saturating_sub(MAX_LAST));
        let gap = (!left_out.is_empty()).then_some("…");
        let kept = Vec::from_iter(first.iter().copied().chain(gap).chain(last.iter().copied()));
        (!kept.is_empty()).then(|| kept.join(" | "))
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
        let (authenticator, authorizer) = (self.name.authenticator(), self.name.authorizer());
        let (context, message) = (escaped(context), escaped(message) + cut);
        let is_note = NOTES.iter().any(|note| message.contains(note));
        if matches!(level, Level::Warn | Level::Error | Level::Critical) && !is_note {
            state.warnings.push(message.clone());
        }
        let request_id = state.request_id.clone();
        let request_id = request_id.as_deref();
        drop(state);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "portcullis::plugin", authenticator, authorizer, request_id, context, "{message}")
            };
        }
        let severity = severity(level);
        if let Some(least) = self.level {
            if severity > least {
                return;
            }
            // The application's log usually leaves these levels out.
            if severity > tracing::Level::INFO {
                let plugin_level = severity.as_str();
                tracing::info!(
                    target: "portcullis::plugin",
                    authenticator,
                    authorizer,
                    request_id,
                    context,
                    plugin_level,
                    "{message}"
                );
                return;
            }
        }
        match severity {
            tracing::Level::TRACE => line!(trace),
            tracing::Level::DEBUG => line!(debug),
            tracing::Level::INFO => line!(info),
            tracing::Level::WARN => line!(warn),
            tracing::Level::ERROR => line!(error),
        }
    }
}

const fn severity(level: Level) -> tracing::Level {
    match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error | Level::Critical => tracing::Level::ERROR,
    }
}

/// Parts of lines that say nothing of the cause of a failure: of Rust's panic handler, and of SpiderMonkey's.
const NOTES: [&str; 2] = ["RUST_BACKTRACE=1", "mozalloc_abort"];

fn bounded(line: &str) -> &str {
    line.get(..line.floor_char_boundary(MAX_WORDS)).unwrap_or_default()
}

/// How many lines, and how many bytes of each, an error repeats.
const MAX_FIRST: usize = 2;
const MAX_LAST: usize = 4;
const MAX_WORDS: usize = 200;

fn escaped(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_LINE);
    text.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
