//! The extension module of the Python package `portcullis`: the crate `portcullis`, for servers in Python, and the gateway.
//!
//! Decisions are made on threads of Rust, which never wait for Python's lock. Only the threads of `bridge` take it, to hand
//! over what is finished.

mod authenticator;
mod authorizer;
mod bridge;
mod chain;
mod command;
mod component;
mod config;
mod decision;
mod directory;
mod engine;
mod errors;
mod followed;
mod gates;
mod host;
mod hosted;
mod lock;
mod negotiators;
mod options;
mod pending;
mod played;
mod plugin;
mod request;
mod sessions;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyImportError;
use pyo3::types::PyAnyMethods;

#[pyo3::pymodule]
mod _portcullis {
    use pyo3::Bound;
    use pyo3::PyResult;
    use pyo3::types::PyModule;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::refuse_other_interpreters(module.py())
    }

    #[pymodule_export]
    use super::authenticator::Authenticator;
    #[pymodule_export]
    use super::authenticator::unknown_key;
    #[pymodule_export]
    use super::authorizer::Authorizer;
    #[pymodule_export]
    use super::bridge::settle;
    #[pymodule_export]
    use super::chain::Chain;
    #[pymodule_export]
    use super::command::main;
    #[pymodule_export]
    use super::component::Component;
    #[pymodule_export]
    use super::component::builtin_plugins;
    #[pymodule_export]
    use super::decision::Decision;
    #[pymodule_export]
    use super::decision::Permit;
    #[pymodule_export]
    use super::decision::Response;
    #[pymodule_export]
    use super::decision::Step;
    #[pymodule_export]
    use super::decision::User;
    #[pymodule_export]
    use super::directory::PluginDirectory;
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::errors::ClosedError;
    #[pymodule_export]
    use super::errors::ConfigurationError;
    #[pymodule_export]
    use super::errors::EngineError;
    #[pymodule_export]
    use super::errors::ForkError;
    #[pymodule_export]
    use super::errors::LoadError;
    #[pymodule_export]
    use super::errors::PortcullisError;
    #[pymodule_export]
    use super::errors::RequestError;
    #[pymodule_export]
    use super::played::PlayedServers;
    #[pymodule_export]
    use super::request::Request;
    #[pymodule_export]
    use super::sessions::Sessions;
}

/// The classes and the engine belong to the interpreter that imports them first. Another one in this process would use its
/// objects without its lock.
fn refuse_other_interpreters(py: Python<'_>) -> PyResult<()> {
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    // Each interpreter has a dict of modules of its own.
    let own = py.import("sys")?.getattr("modules")?.as_ptr().addr();
    match FIRST.compare_exchange(0, own, Ordering::AcqRel, Ordering::Acquire) {
        Err(first) if first != own => Err(PyImportError::new_err(
            "another interpreter of this process has imported portcullis, which doesn't work in sub-interpreters",
        )),
        _ => Ok(()),
    }
}
