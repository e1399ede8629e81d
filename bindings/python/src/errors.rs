//! The exceptions of the package, one for each cause.

use portcullis_loader::ConfigErrors;
use portcullis_loader::config::error::ConfigError;
use pyo3::PyErr;
use pyo3::Python;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyTuple;

create_exception!(
    portcullis,
    PortcullisError,
    PyException,
    "The base of all exceptions of this package."
);
create_exception!(
    portcullis,
    EngineError,
    PortcullisError,
    "The engine can't be started, this process has one already, or it can't be closed where that was tried."
);
create_exception!(
    portcullis,
    ForkError,
    EngineError,
    "The engine was started before this process was forked, and doesn't work here. Start it after the fork."
);
create_exception!(
    portcullis,
    ClosedError,
    EngineError,
    "The engine is closed: by `Engine.close`, or because the interpreter ends."
);
create_exception!(
    portcullis,
    LoadError,
    PortcullisError,
    "A file can't be read, isn't a component that this version can load, or fails its own self-test."
);
create_exception!(
    portcullis,
    ConfigurationError,
    PortcullisError,
    "The keys of an authenticator or authorizer have mistakes. `mistakes` has all of them, one text for each."
);
create_exception!(
    portcullis,
    RequestError,
    PortcullisError,
    "A request has parts that no HTTP request can have. Answer it with 400."
);

/// The exception of what needs an engine that is closed.
pub(crate) fn closed() -> PyErr {
    ClosedError::new_err("the engine is closed")
}

/// The exception for these mistakes in the configuration of a plugin. `place` is where its keys stand in that of a
/// server, and `None` if they are arguments.
pub(crate) fn configuration(py: Python<'_>, place: Option<&str>, errors: &[ConfigError]) -> PyErr {
    let text = errors.iter().map(|error| match place {
        Some(place) => error.below(place),
        None => error.to_string(),
    });
    let mistakes = errors.iter().map(|error| error.below(""));
    with_mistakes(py, Vec::from_iter(text).join("\n"), mistakes.collect())
}

/// The exception for these mistakes in files, which are told with file and line.
pub(crate) fn of_files(py: Python<'_>, errors: &ConfigErrors) -> PyErr {
    let text = errors.to_string();
    let mistakes = text.lines().map(str::to_owned).collect();
    with_mistakes(py, text, mistakes)
}

fn with_mistakes(py: Python<'_>, text: String, mistakes: Vec<String>) -> PyErr {
    let exception = ConfigurationError::new_err(text);
    let listed = PyTuple::new(py, mistakes).and_then(|listed| exception.value(py).setattr("mistakes", listed));
    listed.map_or_else(|failure| failure, |()| exception)
}
