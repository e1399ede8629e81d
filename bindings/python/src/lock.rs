//! Mutexes. Nothing in this crate leaves a value half changed, so that a panic of another thread changes nothing.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use pyo3::Python;
use pyo3::sync::MutexExt;

/// Locks a mutex.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex that another thread may hold for long. Python's lock is free meanwhile, because that thread may need it.
pub(crate) fn lock_attached<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
    mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}
