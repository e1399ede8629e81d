//! `Chain`: authenticators in order, which decide about requests.

use std::sync::Arc;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;

use pyo3::Bound;
use pyo3::Py;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pymethods;

use crate::authenticator::Authenticator;
use crate::decision::Decision;
use crate::errors::PortcullisError;
use crate::gates::Gates;
use crate::host::Hosted;
use crate::host::TICK;
use crate::lock::lock;
use crate::pending::Call;
use crate::pending::Pending;
use crate::request::Request;
use crate::sessions::Sessions;

/// Authenticators in the order in which they are asked, until one decides. One that fails ends the chain: a failure never
/// leads to a weaker check.
///
/// sessions: `Sessions`, for users who come again. Default: each request needs credentials.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Chain {
    gates: Hosted<Gates>,
    authenticators: Vec<Py<Authenticator>>,
}

#[pymethods]
impl Chain {
    #[new]
    #[pyo3(signature = (*authenticators, sessions=None))]
    fn new(
        py: Python<'_>,
        authenticators: Vec<Py<Authenticator>>,
        sessions: Option<&Bound<'_, Sessions>>,
    ) -> PyResult<Self> {
        let Some(first) = authenticators.first() else {
            return Err(PyValueError::new_err(
                "a chain needs an authenticator: without one it refuses every request",
            ));
        };
        let members = authenticators.iter().map(|one| one.get().member());
        let members = members.collect::<PyResult<Vec<_>>>()?;
        let host = first.get().host();
        host.bridge.refresh_levels(py);
        let sessions = sessions.map(|sessions| Arc::clone(&sessions.get().inner));
        Ok(Self {
            gates: Hosted::new(host, Gates::new(members, sessions)),
            authenticators,
        })
    }

    /// The authenticators, in order.
    #[getter]
    fn authenticators(&self, py: Python<'_>) -> Vec<Py<Authenticator>> {
        self.authenticators.iter().map(|one| one.clone_ref(py)).collect()
    }

    /// Decides about a request: a coroutine, to be awaited once.
    ///
    /// A call that is cancelled goes on to its end or its deadline.
    fn decide(&self, request: &Bound<'_, Request>) -> PyResult<Pending> {
        Ok(Pending::new(Call {
            gate: self.gates.get()?.current(),
            host: Arc::clone(&self.gates.host),
            request: Arc::clone(&request.get().0),
        }))
    }

    /// Decides about a request, and waits for it. Other threads of Python run meanwhile.
    fn decide_blocking(&self, py: Python<'_>, request: &Bound<'_, Request>) -> PyResult<Decision> {
        let gate = self.gates.get()?.current();
        let host = &self.gates.host;
        let request = Arc::clone(&request.get().0);
        let (sender, receiver) = mpsc::sync_channel(1);
        host.runtime.spawn(async move {
            let admission = gate.admit(&request).await;
            // The thread that waited may have been interrupted; then no receiver is left.
            sender.send(Decision::new(admission)).ok();
        });
        let _waiting = host.wait();
        // Only one thread receives, but the type must be one that several may share.
        let receiver = std::sync::Mutex::new(receiver);
        loop {
            match py.detach(|| lock(&receiver).recv_timeout(TICK)) {
                Ok(decision) => return Ok(decision),
                Err(RecvTimeoutError::Timeout) => {
                    py.check_signals()?;
                    host.check()?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PortcullisError::new_err(
                        "the decision failed within the host, which is a bug of Portcullis",
                    ));
                }
            }
        }
    }

    /// Forgets the decisions of all its authenticators that are kept for later requests.
    fn forget_decisions(&self) -> PyResult<()> {
        for authenticator in self.gates.get()?.current().chain().authenticators() {
            authenticator.forget_decisions();
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        let names = self.authenticators.iter().map(|one| one.get().own_name());
        let names = Vec::from_iter(names.map(|name| format!("{name:?}")));
        format!("<Chain {}>", names.join(", "))
    }
}
