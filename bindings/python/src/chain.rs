//! `Chain`: authenticators in order, and then authorizers, which decide about requests.

use std::sync::Arc;

use pyo3::Bound;
use pyo3::Py;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pymethods;

use crate::authenticator::Authenticator;
use crate::authorizer::Authorizer;
use crate::decision::Decision;
use crate::gates::Gates;
use crate::hosted::Hosted;
use crate::pending::Call;
use crate::pending::Pending;
use crate::request::Request;
use crate::sessions::Sessions;

/// Authenticators in the order in which they are asked, until one decides. One that fails ends the chain: a failure never
/// leads to a weaker check.
///
/// authorizers: asked in order, after a user is known, whether the user may make the request. The first denial ends it.
///     Default: every user may make every request.
/// sessions: `Sessions`, for users who come again. Default: each request needs credentials.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Chain {
    gates: Hosted<Gates>,
    authenticators: Vec<Py<Authenticator>>,
    authorizers: Vec<Py<Authorizer>>,
}

#[pymethods]
impl Chain {
    #[new]
    #[pyo3(signature = (*authenticators, authorizers=None, sessions=None))]
    fn new(
        py: Python<'_>,
        authenticators: Vec<Py<Authenticator>>,
        authorizers: Option<Vec<Py<Authorizer>>>,
        sessions: Option<&Bound<'_, Sessions>>,
    ) -> PyResult<Self> {
        let Some(first) = authenticators.first() else {
            return Err(PyValueError::new_err(
                "a chain needs an authenticator: without one it refuses every request",
            ));
        };
        let identify = authenticators.iter().map(|one| one.get().0.member());
        let identify = identify.collect::<PyResult<Vec<_>>>()?;
        let authorizers = authorizers.unwrap_or_default();
        let permit = authorizers.iter().map(|one| one.get().0.member());
        let permit = permit.collect::<PyResult<Vec<_>>>()?;
        let host = first.get().0.host();
        host.bridge.refresh_levels(py);
        let sessions = sessions.map(|sessions| Arc::clone(&sessions.get().inner));
        Ok(Self {
            gates: Hosted::new(host, Gates::new(identify, permit, sessions)),
            authenticators,
            authorizers,
        })
    }

    /// The authenticators, in order.
    #[getter]
    fn authenticators(&self, py: Python<'_>) -> Vec<Py<Authenticator>> {
        self.authenticators.iter().map(|one| one.clone_ref(py)).collect()
    }

    /// The authorizers, in order.
    #[getter]
    fn authorizers(&self, py: Python<'_>) -> Vec<Py<Authorizer>> {
        self.authorizers.iter().map(|one| one.clone_ref(py)).collect()
    }

    /// Decides about a request: a coroutine, to be awaited once.
    ///
    /// A call that is cancelled goes on to its end or its deadline.
    ///
    /// visitors: whether requests without credentials are served, too. Then the authorizers are asked about those as well.
    #[pyo3(signature = (request, *, visitors=false))]
    fn decide(&self, request: &Bound<'_, Request>, visitors: bool) -> PyResult<Pending> {
        Ok(Pending::new(Call {
            deciders: self.gates.get()?.current(),
            visitors,
            host: Arc::clone(&self.gates.host),
            request: Arc::clone(&request.get().0),
        }))
    }

    /// Decides about a request, and waits for it. Other threads of Python run meanwhile.
    #[pyo3(signature = (request, *, visitors=false))]
    fn decide_blocking(&self, py: Python<'_>, request: &Bound<'_, Request>, visitors: bool) -> PyResult<Decision> {
        let deciders = self.gates.get()?.current();
        let request = Arc::clone(&request.get().0);
        let host = &self.gates.host;
        match host.at_once(deciders.decide(request, visitors)) {
            Ok(decision) => Ok(decision),
            Err(later) => host.wait_for(py, later),
        }
    }

    /// Forgets the decisions of all its plugins that are kept for later requests.
    fn forget_decisions(&self) -> PyResult<()> {
        let deciders = self.gates.get()?.current();
        for authenticator in deciders.gate.chain().authenticators() {
            authenticator.forget_decisions();
        }
        for authorizer in deciders.authorizers.iter() {
            authorizer.forget_decisions();
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        let authenticators = self.authenticators.iter().map(|one| one.get().0.name());
        let authorizers = self.authorizers.iter().map(|one| one.get().0.name());
        let names = Vec::from_iter(authenticators.chain(authorizers).map(|name| format!("{name:?}")));
        format!("<Chain {}>", names.join(", "))
    }
}
