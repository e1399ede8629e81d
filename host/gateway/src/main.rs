//! An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components.

mod admin;
mod cli;
mod config;
mod generation;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
