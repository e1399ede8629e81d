//! An authenticating HTTP gateway whose authenticators are sandboxed WebAssembly components.

mod admin;
mod answers;
mod cli;
mod config;
mod forward_auth;
mod generation;
mod headers;
mod kerberos;
mod lock;
mod machine;
mod pipeline;
mod proxy;
mod routing;
mod serve;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "clippy's allow-unwrap-in-tests covers test functions, but not the helpers that they call"
)]
mod testing;
mod tls;
mod transport;

use std::process::ExitCode;

/// The system's allocator can't return freed memory while an allocation above it is in use, so the process would stay
/// large after a burst of connections.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
