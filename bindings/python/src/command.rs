//! The command line of the gateway: the package is the gateway as well.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyfunction;

use crate::errors::EngineError;
use crate::host::Host;

/// Runs a command of the gateway, of which the first argument is the name of the program. Returns its exit code.
///
/// The process ends then. Other threads of Python run meanwhile. The gateway has an engine of its own, so `Engine` isn't for
/// such a process.
///
/// program: the file by which others start the gateway, which has helper programs in its folder.
#[pyfunction]
#[pyo3(name = "_main")]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>, program: PathBuf) -> PyResult<u8> {
    // Both would use what a process has once: the receivers of logs and metrics.
    if Host::is_started(py) {
        return Err(EngineError::new_err(
            "this process has an engine, and the gateway has one of its own: start it in another process",
        ));
    }
    portcullis_gateway::set_program(program);
    Ok(py.detach(|| portcullis_gateway::main(arguments)))
}
