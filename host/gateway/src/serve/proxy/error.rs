//! Why an upstream gave no response that could be passed on.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;

use http::StatusCode;

use crate::serve::body::BodyError;

/// Why an upstream gave no response that could be passed on.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// It agreed to a protocol that the client didn't ask for.
    Protocol,
    /// Its response didn't begin in time.
    Timeout,
    /// It can't be reached, or broke the connection off.
    Unreachable(hyper_util::client::legacy::Error),
}

impl ProxyError {
    /// What was wrong with the request's body, where that is why there is no response.
    pub(crate) fn of_body(&self) -> Option<&BodyError> {
        match self {
            Self::Unreachable(error) => causes(error).find_map(|cause| cause.downcast_ref()),
            Self::Protocol | Self::Timeout => None,
        }
    }

    /// What the client gets: 504 (RFC 9110, section 15.6.5) when time ran out, 503 when it is the gateway that has no file
    /// for a connection, else 502.
    pub(crate) fn status(&self) -> StatusCode {
        let timed_out = match self {
            Self::Timeout => true,
            Self::Unreachable(error) => causes(error).any(is_timeout),
            Self::Protocol => false,
        };
        if timed_out {
            StatusCode::GATEWAY_TIMEOUT
        } else if self.is_for_want_of_files() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::BAD_GATEWAY
        }
    }
}

impl ProxyError {
    fn is_for_want_of_files(&self) -> bool {
        match self {
            Self::Unreachable(error) => causes(error).any(|cause| {
                let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
                cfg!(unix) && matches!(code, Some(EMFILE | ENFILE))
            }),
            Self::Protocol | Self::Timeout => false,
        }
    }
}

/// Too many open files, in the process and in the system: the same on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol => f.write_str("it switched to a protocol that nobody asked for"),
            Self::Timeout => f.write_str("its response did not begin in time"),
            Self::Unreachable(error) => {
                let texts = causes(error).map(ToString::to_string).collect::<Vec<_>>();
                f.write_str(&texts.join(": "))
            }
        }
    }
}

impl Error for ProxyError {}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
