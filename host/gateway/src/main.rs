//! An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components.

mod admin;
mod cli;
mod config;
mod generation;
mod machine;
mod negotiate;
mod peer;
mod serve;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy only sees of functions"
)]
mod testing;
mod tls;
mod trust;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
