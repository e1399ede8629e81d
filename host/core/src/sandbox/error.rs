//! How a plugin fails, with texts for the operator and the plugin's author. Clients never see them.

use std::fmt;
use std::fmt::Write;

use wasmtime::FrameInfo;
use wasmtime::Trap;
use wasmtime::WasmBacktrace;
use wasmtime_wasi::I32Exit;

use super::clock::Stop;

/// The longest text of a plugin in an error, in bytes.
const MAX_TEXT: usize = 512;

/// Why a call of a plugin returned no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// It exceeded its deadline: [`Limits::deadline`](crate::Limits::deadline).
    #[error("it was stopped: it was not done by its deadline (limits.deadline)")]
    Deadline,
    /// It needed more memory, and all instances of the engine together have reached their bound:
    /// [`EngineBuilder::memory`](crate::EngineBuilder::memory).
    #[error("it was refused more memory: all plugins together have what they may have (plugins.memory)")]
    Memory,
    /// The system gave no memory or address space for its sandbox.
    #[error("the system has no address space or memory for its sandbox (ulimit -v, vm.overcommit_memory)")]
    NoAddressSpace,
    /// It handed more bytes to the host in one call than it may.
    #[error("what it handed over at once exceeds 1 MiB: its answer, or the argument of a host function")]
    Oversized,
    /// Its answer is malformed or out of bounds.
    #[error("its answer can't be used: {0}")]
    Output(String),
    /// It refused settings that it had accepted when it was configured.
    #[error("it refused its settings: {0}")]
    Settings(String),
    /// All sandboxes of the engine are in use.
    #[error("there is no free sandbox")]
    NoSandbox,
    /// It trapped, exited, or failed in another way before it answered.
    #[error("it was stopped: {0}")]
    Trap(String),
}

impl PluginError {
    pub(crate) fn output(what: impl Into<String>) -> Self {
        Self::Output(what.into())
    }

    /// Converts the error of a call. The cause is found by its type, because texts change between versions.
    pub(crate) fn trap(error: wasmtime::Error) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match stop {
                Stop::Deadline => Self::Deadline,
                Stop::TooManyReads => Self::Trap(stop.to_string()),
            };
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Trap(format!("it called exit({})", exit.0));
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::NoSandbox;
        }
        if is_out_of_memory(&error) {
            return Self::NoAddressSpace;
        }
        // Wasmtime's error has no public type. A test fails if its text changes.
        if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
            return Self::Oversized;
        }
        // The outer texts are a backtrace, and would hide the cause.
        let cause = match error.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) => return Self::Trap("it panicked or aborted".to_owned()),
            Some(Trap::StackOverflow) => "its stack overflowed: it called too many functions within each other".to_owned(),
            Some(Trap::MemoryOutOfBounds) if is_below_zero(&error) => {
                "out of bounds memory access, below address 0: its stack has probably overflowed (Rust and C: the linker's \
                 -zstack-size sets its size)"
                    .to_owned()
            }
            Some(trap) => trap.to_string(),
            None => error.root_cause().to_string(),
        };
        let place = error.downcast_ref::<WasmBacktrace>();
        let place = place.and_then(|place| place.frames().iter().find_map(FrameInfo::func_name));
        let place = place.map(|name| format!(" (in {})", short(name))).unwrap_or_default();
        Self::Trap(format!("{}{place}", bounded(&cause)))
    }

    pub(crate) const LABELS: [&str; 8] = [
        "address_space",
        "deadline",
        "memory",
        "no_sandbox",
        "output",
        "oversized",
        "settings",
        "trap",
    ];

    /// A word for a metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NoAddressSpace => "address_space",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::NoSandbox => "no_sandbox",
            Self::Output(_) => "output",
            Self::Oversized => "oversized",
            Self::Settings(_) => "settings",
            Self::Trap(_) => "trap",
        }
    }
}

/// Whether the system refused to map memory (`ENOMEM`).
fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    const ENOMEM: &str = "(os error 12)";
    error.root_cause().to_string().ends_with(ENOMEM)
}

/// Whether a fault is at an address that is only reached from 0 downward. Rust and C have their stack at the start of the
/// memory, growing downward. Wasmtime has no type for the address; a test fails if its text changes.
fn is_below_zero(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        let text = cause.to_string();
        let address = text.strip_prefix("memory fault at wasm address 0x");
        let address = address.and_then(|rest| rest.split(' ').next());
        let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        address.is_some_and(|address| (LOWEST_WRAPPED..1 << 32).contains(&address))
    })
}

/// No plugin has this much memory, and no function this large a frame.
const LOWEST_WRAPPED: u64 = (1 << 32) - (16 << 20);

/// A function's name as the source has it: without the hash that compilers of Rust add, and at most [`MAX_NAME`] bytes of it.
fn short(name: &str) -> String {
    let mut short = Shortened(String::new());
    // It ends early when there is no more room.
    let _ = write!(short, "{:#}", rustc_demangle::demangle(without_hash(name)));
    short.0.retain(|c| !c.is_control());
    short.0
}

/// A name that a linker has made readable may still have its hash, which takes 16 digits.
fn without_hash(name: &str) -> &str {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    match name.rsplit_once("::h") {
        Some((path, hash)) if is_hash(hash) => path,
        _ => name,
    }
}

/// The beginning of a text that may be very long: mangled names can refer to parts of themselves.
struct Shortened(String);

impl Write for Shortened {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(MAX_NAME.saturating_sub(self.0.len()));
        self.0.push_str(text.get(..end).unwrap_or_default());
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The longest name of a function in an error, in bytes.
const MAX_NAME: usize = 80;

/// A text of a plugin in the form for a log line: shortened, and without control characters.
pub(crate) fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let kept = text.get(..end).unwrap_or_default();
    let mut kept: String = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_function_is_that_of_the_source() {
        let long = "x".repeat(200);
        for (name, expected) in [
            ("decide", "decide"),
            ("_ZN7api_key6deeper17h8570b7b4e8ef61b2E", "api_key::deeper"),
            ("_RNvC7api_key6deeper", "api_key::deeper"),
            ("api_key::deeper::h8570b7b4e8ef61b2", "api_key::deeper"),
            ("api_key::handle", "api_key::handle"),
            ("a\u{1b}[31m\n", "a[31m"),
            ("", ""),
            (long.as_str(), &long[..80]),
        ] {
            assert_eq!(short(name), expected, "{name}");
        }
    }
}
