//! Servers that are played for a plugin under test, so that it can be asked without them.

use std::sync::Arc;

use portcullis_loader::cases;
use portcullis_loader::cases::Play;
use portcullis_loader::cases::made_up_user;
use portcullis_loader::cases::played_servers;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyBytes;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;

use crate::authenticator::Authenticator;
use crate::authorizer::Authorizer;
use crate::config;
use crate::decision::pairs;
use crate::errors;
use crate::gates::Member;
use crate::request::Request;

/// For `portcullis.testing`: servers with the keys of `[[servers]]` in a file of `portcullis plugin test`.
#[pyclass(frozen, module = "portcullis", name = "_PlayedServers")]
pub(crate) struct PlayedServers(Option<Arc<Play>>);

/// What an authorizer said: the status of the response, the verdict, a sentence, what a permission carries, and what was read.
type Ruled = (u16, &'static str, String, Vec<(String, String)>, Vec<String>);

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

    /// An authorizer whose requests go to these servers. If there are none, they go over the network.
    fn authorizer(
        &self,
        py: Python<'_>,
        name: &str,
        plugin: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyDict>,
    ) -> PyResult<Authorizer> {
        Authorizer::configure(py, None, name, plugin, Some(keys), self.0.as_ref())
    }

    /// Asks an authorizer about a request of a made-up user, with the keys of `user` in a case. `None` for a request without a user.
    #[staticmethod]
    fn rule(
        py: Python<'_>,
        authorizer: &Bound<'_, Authorizer>,
        request: &Bound<'_, Request>,
        user: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Ruled> {
        let (user, mistakes) = match user {
            Some(user) => {
                let (keys, mut mistakes) = config::keys("user", Some(user));
                let made_up = made_up_user(&keys.into());
                let made_up = made_up.map_err(|found| mistakes.extend(found)).ok();
                (made_up, mistakes)
            }
            None => (None, Vec::new()),
        };
        if !mistakes.is_empty() {
            return Err(errors::configuration(py, Some(""), &mistakes));
        }
        let plugin = &authorizer.get().0;
        // Only a directory has other members, and a test makes its own.
        let Member::Fixed(asked) = plugin.member()? else {
            return Err(PyValueError::new_err(
                "an authorizer of a directory can't be asked alone",
            ));
        };
        let request = Arc::clone(&request.get().0);
        let answer = plugin
            .host()
            .wait_for(py, async move { cases::answer(&asked, &request, user.as_ref()).await })?;
        let carried = answer.permit.iter().flat_map(|permit| permit.attributes());
        let reads = answer.reads.iter().map(|(attribute, _)| attribute.to_string());
        Ok((
            answer.status.as_u16(),
            answer.verdict,
            answer.sentence.clone(),
            carried
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            reads.collect(),
        ))
    }

    /// What the servers were asked since this was called last.
    fn take_calls<'py>(&self, py: Python<'py>) -> Vec<Call<'py>> {
        let calls = self.0.as_ref().map(|play| play.take_calls()).unwrap_or_default();
        let call = |call: cases::Call| {
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
