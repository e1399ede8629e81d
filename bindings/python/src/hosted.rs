//! Values of the core that belong to the engine of a process, such as a loaded component. They work in that process only, and are
//! dropped there.

use std::sync::Arc;

use pyo3::PyResult;

use crate::errors::closed;
use crate::host::Host;

/// A value of the core with its host. It is dropped in the process of the host only: in a forked one, its connections would
/// be closed for both.
pub(crate) struct Hosted<T> {
    value: Option<T>,
    pub(crate) host: Arc<Host>,
}

impl<T> Hosted<T> {
    pub(crate) fn new(host: &Arc<Host>, value: T) -> Self {
        Self {
            value: Some(value),
            host: Arc::clone(host),
        }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// Returns an error if the engine is closed, or doesn't work in this process.
    pub(crate) fn get(&self) -> PyResult<&T> {
        self.host.check()?;
        self.value.as_ref().ok_or_else(closed)
    }

    /// The value, for what can be told of it in any process.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T> Drop for Hosted<T> {
    fn drop(&mut self) {
        if self.host.is_foreign() {
            std::mem::forget(self.value.take());
        } else if let Some(value) = self.value.take() {
            // What is dropped may start tasks of its own, to end what runs.
            let _inside = self.host.runtime.enter();
            drop(value);
        }
    }
}
