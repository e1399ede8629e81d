//! Requests to other servers, to those only that the operator granted. Everything is bounded: the time, the size of the
//! answer; no redirect is followed.
//!
//! ```no_run
//! # fn main() -> Result<(), portcullis_sdk::http::HttpError> {
//! let answer = portcullis_sdk::http::get("https://id.example.org/keys").header("accept", "application/json").send()?;
//! assert_eq!(answer.status, 200);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use crate::Response;
use crate::host;

/// A GET request to this URL, to be completed and sent.
pub fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest {
        url: url.into(),
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        max_body: 1024 * 1024,
    }
}

/// A request to another server.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct HttpRequest {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
}

impl HttpRequest {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long the whole exchange may take, up to the last byte of the answer. Default: 5 seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many bytes the body of the answer may have. Default: 1 MiB.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sends the request and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no complete answer within the bounds; see [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        host::send(&self)
    }
}

/// Headers may hold a token, so they are left out.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why another server gave no answer. None of the texts holds a header or a body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The operator did not grant this server, or it resolves to an address that is forbidden.
    #[error("the operator has not granted access to this server")]
    Denied,
    /// The URL or a header can't be sent.
    #[error("the request can't be sent: {0}")]
    Invalid(String),
    /// The answer was not complete in time.
    #[error("no complete answer in time")]
    TimedOut,
    /// The body of the answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The server can't be reached, or broke off.
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
}
