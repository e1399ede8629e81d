//! The gateway as a program of its own.

use std::process::ExitCode;

/// The system's allocator can't return freed memory while an allocation above it is in use, so the process would stay
/// large after a burst of connections.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Without its own place, helper programs are looked for in PATH only.
    if let Ok(program) = std::env::current_exe() {
        portcullis_gateway::set_program(program);
    }
    ExitCode::from(portcullis_gateway::main(std::env::args_os()))
}
