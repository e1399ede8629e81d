//! Futures of asyncio. They are settled by the thread of their event loop, for all that was decided meanwhile at once. One that was
//! cancelled is left alone: its call went on to its end.

use pyo3::Bound;
use pyo3::Py;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::intern;
use pyo3::pyfunction;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyList;
use pyo3::types::PyListMethods;
use pyo3::wrap_pyfunction;

use super::worker::Queue;
use crate::decision::Decision;
use crate::errors::PortcullisError;

/// A future, and what becomes of it.
pub(super) struct Settlement {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
    /// `None` if the task failed.
    decision: Option<Decision>,
}

/// A future that waits for a decision. If this is dropped, the future gets an exception, so that its waiter doesn't wait for ever.
pub(crate) struct Waiter {
    pending: Option<(Py<PyAny>, Py<PyAny>)>,
    queue: Queue<Settlement>,
}

impl Waiter {
    pub(super) fn new(py: Python<'_>, queue: Queue<Settlement>) -> PyResult<Self> {
        static RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let event_loop = RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        Ok(Self {
            pending: Some((event_loop.unbind(), future.unbind())),
            queue,
        })
    }

    /// The future.
    pub(crate) fn future<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.pending.as_ref().map(|(_, future)| future.bind(py).clone())
    }

    /// Hands over the decision.
    pub(crate) fn settle(mut self, decision: Decision) {
        self.push(Some(decision));
    }

    fn push(&mut self, decision: Option<Decision>) {
        if let Some((event_loop, future)) = self.pending.take() {
            self.queue.push(Settlement {
                event_loop,
                future,
                decision,
            });
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.push(None);
    }
}

/// Passes settlements to the threads of their event loops. A loop that is closed needs none.
pub(super) fn hand_over(py: Python<'_>, settlements: Vec<Settlement>) {
    let mut batches: Vec<(Py<PyAny>, Bound<'_, PyList>)> = Vec::new();
    for Settlement {
        event_loop,
        future,
        decision,
    } in settlements
    {
        let batch = match batches.iter().find(|(known, _)| known.is(&event_loop)) {
            Some((_, batch)) => batch.clone(),
            None => {
                let batch = PyList::empty(py);
                batches.push((event_loop, batch.clone()));
                batch
            }
        };
        let appended = decision
            .map(|decision| Py::new(py, decision))
            .transpose()
            .and_then(|decision| batch.append((future, decision)));
        if let Err(error) = appended {
            error.write_unraisable(py, None);
        }
    }
    for (event_loop, batch) in batches {
        let called = wrap_pyfunction!(settle, py)
            .and_then(|settle| event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (settle, batch)));
        if let Err(error) = called
            && !event_loop
                .call_method0(py, intern!(py, "is_closed"))
                .is_ok_and(|closed| closed.is_truthy(py).unwrap_or(false))
        {
            error.write_unraisable(py, None);
        }
    }
}

/// Settles futures, unless they were cancelled. For the thread of their event loop. What a signal handler raises meanwhile is raised
/// when all are settled: those who wait for the others know nothing of it.
#[pyfunction]
#[pyo3(name = "_settle")]
pub(crate) fn settle(py: Python<'_>, settlements: Vec<(Py<PyAny>, Option<Py<PyAny>>)>) -> PyResult<()> {
    let mut raised = Ok(());
    for (future, decision) in settlements {
        let mut settled = settle_one(py, &future, decision.as_ref());
        if settled.is_err() {
            // Either it is settled all the same, or it isn't yet.
            settled = settle_one(py, &future, decision.as_ref()).and(settled);
        }
        raised = raised.and(settled);
    }
    raised
}

fn settle_one(py: Python<'_>, future: &Py<PyAny>, decision: Option<&Py<PyAny>>) -> PyResult<()> {
    if future.call_method0(py, intern!(py, "done"))?.is_truthy(py)? {
        return Ok(());
    }
    match decision {
        Some(decision) => future.call_method1(py, intern!(py, "set_result"), (decision,)),
        None => {
            let error = PortcullisError::new_err("the decision failed within the host, which is a bug of Portcullis");
            future.call_method1(py, intern!(py, "set_exception"), (error.into_value(py),))
        }
    }
    .map(drop)
}
