//! Where this program is, for the programs that it starts: helpers lie beside it, and build commands of plugins call it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The file by which others start this program. Within the Python package it is a script, and not the interpreter.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Notes the file by which others start this program, once in a process.
pub(crate) fn set(program: PathBuf) {
    // The first stays, if this is called again.
    let _ = PROGRAM.set(program);
}

/// The folder of this program. `None` if it isn't known.
pub(crate) fn folder() -> Option<&'static Path> {
    PROGRAM.get()?.parent()
}
