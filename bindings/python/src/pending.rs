//! What `Chain.decide` returns: a coroutine (PEP 492), so that `asyncio.run`, `create_task` and `wait_for` take it, and `await` goes
//! straight to a future of the running event loop. A decision that no plugin has to be asked about needs none, and is there at once.

use std::sync::Arc;
use std::sync::Mutex;

use portcullis::AuthRequest;
use pyo3::Bound;
use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyErr;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyRuntimeError;
use pyo3::exceptions::PyStopIteration;
use pyo3::intern;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyAnyMethods;

use crate::decision::Decision;
use crate::errors::closed;
use crate::gates::Deciders;
use crate::host::Host;
use crate::lock::lock;

/// A decision that is awaited once. Programs know it as a coroutine, so the module has no name for it. The plugins are asked when
/// it is awaited, or when a task begins with it.
#[pyclass(frozen, module = "portcullis._portcullis", name = "_Pending")]
pub(crate) struct Pending(Mutex<State>);

enum State {
    /// It has not been awaited yet.
    New(Call),
    /// The iterator of the future that is awaited.
    Awaited(Py<PyAny>),
    /// It was closed before it was awaited.
    Closed,
}

/// What is to be decided, and by what.
pub(crate) struct Call {
    pub(crate) host: Arc<Host>,
    pub(crate) deciders: Deciders,
    pub(crate) request: Arc<AuthRequest>,
    /// Whether requests without credentials are served, too.
    pub(crate) visitors: bool,
}

impl Call {
    /// Begins the call.
    fn begin(self, py: Python<'_>) -> PyResult<Begun<'_>> {
        self.host.check()?;
        let Self {
            host,
            deciders,
            request,
            visitors,
        } = self;
        let later = match host.at_once(deciders.decide(request, visitors)) {
            Ok(decision) => return Ok(Begun::Decided(Py::new(py, decision)?)),
            Err(later) => later,
        };
        let waiter = host.bridge.waiter(py)?;
        let future = waiter.future(py).ok_or_else(closed)?;
        host.runtime.spawn(async move {
            waiter.settle(later.await);
        });
        Ok(Begun::Waits(future.call_method0(intern!(py, "__await__"))?))
    }
}

/// A call that has begun.
enum Begun<'py> {
    Decided(Py<Decision>),
    /// The iterator of a future of the running event loop.
    Waits(Bound<'py, PyAny>),
}

/// The iterator of a decision that is there: its first step is its last.
#[pyclass(frozen, module = "portcullis._portcullis", name = "_Decided")]
struct Decided(Py<Decision>);

#[pymethods]
impl Decided {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<()> {
        Err(PyStopIteration::new_err((self.0.clone_ref(py),)))
    }
}

impl Pending {
    pub(crate) fn new(call: Call) -> Self {
        Self(Mutex::new(State::New(call)))
    }

    fn begin<'py>(&self, py: Python<'py>) -> PyResult<Begun<'py>> {
        let before = std::mem::replace(&mut *lock(&self.0), State::Closed);
        let State::New(call) = before else {
            // As those of Python do.
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        };
        let begun = call.begin(py)?;
        if let Begun::Waits(steps) = &begun {
            *lock(&self.0) = State::Awaited(steps.clone().unbind());
        }
        Ok(begun)
    }

    /// The iterator of the future, if it is awaited.
    fn steps<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match &*lock(&self.0) {
            State::Awaited(steps) => Some(steps.bind(py).clone()),
            State::New(_) | State::Closed => None,
        }
    }
}

#[pymethods]
impl Pending {
    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.begin(py)? {
            Begun::Decided(decision) => Bound::new(py, Decided(decision))?.into_any(),
            Begun::Waits(steps) => steps,
        })
    }

    /// The next step, for a task of asyncio. The last one raises `StopIteration` with the decision.
    fn send<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let steps = match self.steps(py) {
            Some(steps) => steps,
            None => match self.begin(py)? {
                Begun::Decided(decision) => return Err(PyStopIteration::new_err((decision,))),
                Begun::Waits(steps) => steps,
            },
        };
        steps.call_method1(intern!(py, "send"), (value,))
    }

    /// Raises an exception where it waits, such as `CancelledError`.
    #[pyo3(signature = (exception, value=None, _traceback=None))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        exception: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        _traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let raised = value.unwrap_or(exception);
        match self.steps(py) {
            Some(steps) => steps.call_method1(intern!(py, "throw"), (raised,)),
            None => {
                self.close(py)?;
                Err(PyErr::from_value(raised))
            }
        }
    }

    /// Ends it. The plugins aren't asked, unless they are already: then the call goes on to its end or its deadline.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let before = std::mem::replace(&mut *lock(&self.0), State::Closed);
        if let State::Awaited(steps) = before {
            steps.call_method0(py, intern!(py, "close"))?;
        }
        Ok(())
    }
}
