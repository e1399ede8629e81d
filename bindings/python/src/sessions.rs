//! `Sessions`: the sealed cookie of the gateway. One that the gateway has sealed is opened here, and the other way round.

use std::sync::Arc;
use std::time::Duration;

use portcullis::session;
use portcullis::session::Key;
use portcullis::session::KeyError;
use portcullis::session::KeyRing;
use pyo3::PyErr;
use pyo3::PyResult;
use pyo3::exceptions::PyValueError;
use pyo3::pyclass;
use pyo3::pymethods;

/// Sessions in a sealed cookie: a user who was authenticated needs no credentials for a while. Nothing is stored on the server.
///
/// Credentials always take precedence over the cookie. Only a user whose plugin says for how long its decision is valid gets
/// a session, and it never lasts longer.
///
/// keys: 32 bytes as hex digits, one text for each. The first seals, all open. `portcullis keygen` or
///     `Sessions.generate_key()` makes one.
/// max_age: how long a session lasts at most, in seconds. Default: 12 hours.
/// cookie: the name of the cookie.
/// secure: whether clients send it over https only. The name then begins with `__Host-`.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Sessions {
    pub(crate) inner: Arc<session::Sessions>,
}

#[pymethods]
impl Sessions {
    #[new]
    #[pyo3(signature = (*keys, max_age=43200.0, cookie="portcullis", secure=true))]
    fn new(keys: Vec<String>, max_age: f64, cookie: &str, secure: bool) -> PyResult<Self> {
        let keys = keys.iter().map(|key| Key::from_hex(key));
        let keys = keys
            .collect::<Result<Vec<_>, _>>()
            .and_then(KeyRing::new)
            .map_err(wrong)?;
        let max_age = Duration::try_from_secs_f64(max_age).ok();
        let max_age = max_age.filter(|max_age| (MIN_AGE..=MAX_AGE).contains(max_age));
        let max_age = max_age.ok_or_else(|| PyValueError::new_err("max_age must be 1 second to 400 days"))?;
        let options = session::Options::new(cookie, secure, max_age);
        let options = options.ok_or_else(|| {
            PyValueError::new_err("the name of a cookie has ASCII letters, digits, - and _, and at least one of them")
        })?;
        Ok(Self {
            inner: Arc::new(session::Sessions::new(keys, options)),
        })
    }

    /// A fresh key. It is a secret.
    #[staticmethod]
    fn generate_key() -> PyResult<String> {
        Key::generate().map(|key| key.to_hex()).map_err(wrong)
    }

    /// The name of the cookie, with its prefix.
    #[getter]
    fn cookie(&self) -> &str {
        self.inner.cookie_name()
    }

    /// A Set-Cookie value that ends the session, for a page that logs out.
    fn clear(&self) -> String {
        let value = self.inner.clear();
        value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Sessions in the cookie {:?}>", self.cookie())
    }
}

const MIN_AGE: Duration = Duration::from_secs(1);
/// Browsers keep no cookie for longer.
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

fn wrong(error: KeyError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
