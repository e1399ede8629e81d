//! The gateway as a program of its own.

use std::process::ExitCode;

/// The system's allocator can't return freed memory while an allocation above it is in use, so the process would stay
/// large after a burst of connections.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = std::env::current_exe().ok();
    ExitCode::from(portcullis_gateway::main(std::env::args_os(), program))
}
