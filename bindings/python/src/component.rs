//! `Component`: a plugin that is compiled and not configured yet.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use portcullis::Digest;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pyfunction;
use pyo3::pymethods;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyBytes;
use pyo3::types::PyBytesMethods;

use crate::errors::LoadError;
use crate::host::Host;
use crate::host::Hosted;

/// The largest file, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// The names of the plugins that are built in.
#[pyfunction]
pub(crate) fn builtin_plugins() -> Vec<&'static str> {
    portcullis_plugins::ALL.iter().map(|(name, _)| *name).collect()
}

/// A compiled plugin. Authenticators with different settings can share one.
///
/// Compiling takes up to some seconds, in which other threads of Python run.
///
/// source: the name of a built-in plugin ("jwt"), the path of a file (a `pathlib.Path`, or a text that has a slash or ends
///     in ".wasm"), or the bytes of a component.
/// sha256: the SHA-256 that the component must have, as hex digits. Default: any.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Component {
    pub(crate) inner: Hosted<portcullis::Component>,
    origin: String,
}

#[pymethods]
impl Component {
    #[new]
    #[pyo3(signature = (source, *, sha256=None))]
    pub(crate) fn new(py: Python<'_>, source: &Bound<'_, PyAny>, sha256: Option<&str>) -> PyResult<Self> {
        let host = Host::current(py)?;
        host.check()?;
        let pin = sha256.map(str::parse::<Digest>).transpose();
        let pin = pin.map_err(|_| PyValueError::new_err("sha256 is not a SHA-256: 64 hex digits"))?;
        let source = Source::of(source)?;
        let origin = source.to_string();
        let loaded = py.detach(|| {
            let bytes = source.bytes()?;
            if let Some(pin) = pin {
                let digest = Digest::of(&bytes);
                if digest != pin {
                    return Err(format!("its SHA-256 is {digest}, and sha256 is {pin}"));
                }
            }
            portcullis::Component::new(&host.engine, &bytes).map_err(|error| error.to_string())
        });
        let component = loaded.map_err(|why| LoadError::new_err(format!("{origin}: {why}")))?;
        Ok(Self {
            inner: Hosted::new(&host, component),
            origin,
        })
    }

    /// The SHA-256 of the component, as hex digits.
    #[getter]
    fn digest(&self) -> Option<String> {
        self.inner.peek().map(|component| component.digest().to_string())
    }

    /// The contract that it implements, such as "portcullis:auth@0.1.0".
    #[getter]
    fn contract(&self) -> Option<&str> {
        self.inner.peek().map(portcullis::Component::contract)
    }

    fn __repr__(&self) -> String {
        format!("<Component {}>", self.origin)
    }
}

/// Where the bytes of a component are.
enum Source {
    BuiltIn(String),
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Source {
    fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes().to_owned()));
        }
        match value.extract::<String>() {
            Ok(text) if !text.contains(['/', '\\']) && !text.ends_with(".wasm") => Ok(Self::BuiltIn(text)),
            _ => value.extract().map(Self::File),
        }
    }

    fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File(path) => read(&path),
            Self::BuiltIn(name) => {
                let found = portcullis_plugins::find(&name);
                found
                    .map(<[u8]>::to_vec)
                    .ok_or_else(|| format!("there is no such plugin; built in are {}", builtin_plugins().join(", ")))
            }
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn(name) => write!(f, "built-in {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("can't be opened: {error}"))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("is larger than {MAX_FILE} bytes"));
    }
    Ok(bytes)
}
