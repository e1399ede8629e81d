//! Servers that are played for a plugin under test, so that it can be asked without them.

use std::sync::Arc;

use portcullis_loader::cases::Play;
use portcullis_loader::cases::played_servers;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyBytes;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;

use crate::authenticator::Authenticator;
use crate::config;
use crate::decision::pairs;
use crate::errors;

/// For `portcullis.testing`: servers with the keys of `[[servers]]` in a file of `portcullis plugin test`.
#[pyclass(frozen, module = "portcullis", name = "_PlayedServers")]
pub(crate) struct PlayedServers(Option<Arc<Play>>);

/// A request to a server: method, URL, header fields, body, and whether the server has a response for it.
type Call<'py> = (String, String, Vec<(String, String)>, Bound<'py, PyBytes>, bool);

#[pymethods]
impl PlayedServers {
    #[new]
    fn new(py: Python<'_>, servers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let given = PyDict::new(py);
        given.set_item("servers", servers)?;
        let (keys, mistakes) = config::keys("servers", Some(&given));
        if !mistakes.is_empty() {
            return Err(errors::configuration(py, Some(""), &mistakes));
        }
        let servers = keys.get("servers").map(played_servers).transpose();
        let servers = servers.map_err(|mistakes| errors::configuration(py, Some(""), &mistakes))?;
        Ok(Self(Play::of(servers.iter().flatten())))
    }

    /// An authenticator whose requests go to these servers. If there are none, they go over the network.
    fn authenticator(
        &self,
        py: Python<'_>,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyDict>,
    ) -> PyResult<Authenticator> {
        Authenticator::configure(py, None, name, plugin, Some(keys), self.0.as_ref())
    }

    /// What the servers were asked since this was called last.
    fn take_calls<'py>(&self, py: Python<'py>) -> Vec<Call<'py>> {
        let calls = self.0.as_ref().map(|play| play.take_calls()).unwrap_or_default();
        let call = |call: portcullis_loader::cases::Call| {
            (
                call.request.method().to_string(),
                call.request.uri().to_string(),
                pairs(call.request.headers()),
                PyBytes::new(py, call.request.body()),
                call.has_response,
            )
        };
        calls.into_iter().map(call).collect()
    }
}
