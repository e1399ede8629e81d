//! An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components.
//!
//! This is the whole program but for what differs between the ways of starting it: by itself, or within the Python package.
//! Programs with plugins of their own take only the acceptors of Kerberos tokens from here.

mod admin;
mod answers;
mod assertion;
mod audit_chain;
mod audit_trail;
mod by_period;
mod cli;
mod config;
mod forward_auth;
mod generation;
mod headers;
mod html;
mod kerberos;
mod login;
mod machine;
mod one_line;
mod percent;
mod pipeline;
mod program;
mod proxy;
mod routing;
mod serve;
mod sessions;
mod shared_state;
mod telemetry;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "clippy's allow-unwrap-in-tests covers test functions, but not the helpers that they call"
)]
mod testing;
mod tls;
mod transport;

use std::ffi::OsString;
use std::path::PathBuf;

pub use kerberos::start_negotiators;

/// Runs the command of these arguments, of which the first is the name of the program, and returns its exit code.
///
/// Call it once in a process, and let the process end then. It handles the signals of the process, and it logs to standard
/// error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    cli::main(arguments)
}

/// The command line with its commands and options, for programs that describe it, such as manual pages.
#[must_use]
pub fn command() -> clap::Command {
    cli::command()
}

/// Says by which file others start this program, which has its helper programs in its folder. The first call counts.
pub fn set_program(program: PathBuf) {
    program::set(program);
}
