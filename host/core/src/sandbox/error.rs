//! How a plugin fails: what it did, in words for its operator and its author. None of it is ever told to a client.

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::clock::Stop;

/// Longest text of a plugin's that is kept in an error, in bytes.
const MAX_TEXT: usize = 512;

/// Why a call of a plugin gave no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// It was not done in time.
    #[error("it was stopped: it was not done by its deadline (limits.deadline)")]
    Deadline,
    /// All instances of the process together have the memory that they may have.
    #[error("it was refused more memory: all plugins together have what they may have (plugins.memory)")]
    Memory,
    /// Its answer is out of bounds.
    #[error("its answer can't be used: {0}")]
    Output(String),
    /// It refused settings that it had accepted before.
    #[error("it refused its settings: {0}")]
    Settings(String),
    /// The sandboxes of the process are all taken.
    #[error("there is no free sandbox")]
    NoSandbox,
    /// It didn't run to its end.
    #[error("it was stopped: {0}")]
    Trap(String),
}

impl PluginError {
    pub(crate) fn output(what: impl Into<String>) -> Self {
        Self::Output(what.into())
    }

    /// Says what ended a call. The cause is looked for by type, since texts change.
    pub(crate) fn trap(error: wasmtime::Error) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match stop {
                Stop::Deadline => Self::Deadline,
                Stop::Questions => Self::Trap(stop.to_string()),
            };
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Trap(format!("it called exit({})", exit.0));
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::NoSandbox;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) => {
                Self::Trap("it panicked or aborted; its last log lines may say why".to_owned())
            }
            Some(trap) => Self::Trap(trap.to_string()),
            None => Self::Trap(bounded(&format!("{error:#}"))),
        }
    }

    pub(crate) const LABELS: [&str; 6] = ["deadline", "memory", "no_sandbox", "output", "settings", "trap"];

    /// One word for a metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::NoSandbox => "no_sandbox",
            Self::Output(_) => "output",
            Self::Settings(_) => "settings",
            Self::Trap(_) => "trap",
        }
    }
}

/// A text of a plugin's, fit for a log line.
pub(crate) fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let kept = text.get(..end).unwrap_or_default();
    let mut kept: String = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        kept.push('…');
    }
    kept
}
