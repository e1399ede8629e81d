//! An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components.

mod cli;
mod config;
mod generation;
mod serve;
mod trust;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
