//! An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components.

mod admin;
mod answers;
mod cli;
mod config;
mod files;
mod forward_auth;
mod generation;
mod headers;
mod kerberos;
mod machine;
mod pipeline;
mod proxy;
mod routing;
mod serve;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy only sees of functions"
)]
mod testing;
mod tls;
mod transport;

use std::process::ExitCode;

/// The system's own keeps what a crowd of connections has left behind, for as long as anything stands above it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
