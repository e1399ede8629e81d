//! What checks Kerberos tokens: the helper processes of the gateway, for a server in Python.

use std::path::PathBuf;

use portcullis_loader::Negotiators;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::types::PyAnyMethods;
use serde_json::Value;

use crate::errors;
use crate::host::Host;

/// Starts an acceptor for each table of `negotiate`. `place` is where its keys stand, and `name` who has them if they are
/// arguments.
pub(crate) fn start(
    py: Python<'_>,
    host: &Host,
    place: Option<&str>,
    name: &str,
    negotiate: Option<&Value>,
) -> PyResult<Negotiators> {
    let Some(negotiate) = negotiate else {
        return Ok(Negotiators::new());
    };
    portcullis_gateway::set_program(program(py)?);
    let started = {
        let _waiting = host.wait();
        py.detach(|| {
            host.runtime
                .block_on(portcullis_gateway::start_negotiators(name, negotiate))
        })
    };
    started.map_err(|errors| errors::configuration(py, place, &errors))
}

/// The command `portcullis`, beside which helper programs lie.
fn program(py: Python<'_>) -> PyResult<PathBuf> {
    let scripts = py.import("sysconfig")?.call_method1("get_path", ("scripts",))?;
    Ok(scripts.extract::<PathBuf>()?.join("portcullis"))
}
