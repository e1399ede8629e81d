//! Why an upstream gave no response that could be passed on.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;

use http::StatusCode;

use super::connect::ConnectError;
use crate::proxy::body::BodyError;

/// Why an upstream gave no response that could be passed on.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// It broke the connection off, or what it said is no HTTP.
    Broken(hyper::Error),
    /// All connections that it may have are taken, and none became free in time.
    Busy,
    /// It can't be reached.
    Connect(ConnectError),
    /// No connection was made in time.
    ConnectTimeout,
    /// It agreed to a protocol that the client didn't ask for.
    Protocol,
    /// There is no server at all.
    NoServer,
    /// Its response didn't begin in time.
    Timeout,
    /// The request can't be written in the protocol that it speaks.
    Unsendable(http::Error),
}

/// A request that no server answered.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// The server that was asked last.
    pub(crate) server: String,
    /// Why it didn't answer.
    pub(crate) error: ProxyError,
}

impl Unanswered {
    pub(super) fn new(server: &str, error: ProxyError) -> Self {
        Self {
            server: server.to_owned(),
            error,
        }
    }

    /// `upstream` has no server.
    pub(super) fn no_server(upstream: &str) -> Self {
        Self {
            server: upstream.to_owned(),
            error: ProxyError::NoServer,
        }
    }
}

impl ProxyError {
    pub(super) fn broken(error: hyper::Error) -> Self {
        Self::Broken(error)
    }

    pub(super) fn connect(error: ConnectError) -> Self {
        Self::Connect(error)
    }

    /// What was wrong with the request's body, where that is why there is no response.
    pub(crate) fn body_error(&self) -> Option<&BodyError> {
        match self {
            Self::Broken(error) => causes(error).find_map(|cause| cause.downcast_ref()),
            _ => None,
        }
    }

    /// What the client gets: 504 (RFC 9110, section 15.6.5) when time ran out, 503 when there are too many requests
    /// already or the gateway has no file for a connection, else 502.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::ConnectTimeout | Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect(error) if causes(error).any(is_timeout) => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect(error) if is_out_of_files(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) | Self::Connect(_) | Self::NoServer | Self::Protocol | Self::Unsendable(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// Whether the server says that it did nothing about the request: it refused the stream, or said goodbye without having
    /// come to it (RFC 9113, section 8.7).
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        causes(error)
            .filter_map(|error| error.downcast_ref::<h2::Error>())
            .filter(|error| error.is_remote())
            .any(|error| match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => error.is_reset(),
                // With another reason the streams that it came to are given the same error.
                Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                _ => false,
            })
    }

    /// Whether the server is to blame, so that another may do better.
    pub(super) fn is_server_fault(&self) -> bool {
        match self {
            // What the client sent broke off, or it went away.
            Self::Broken(error) => !error.is_user() && !error.is_body_write_aborted(),
            Self::Busy | Self::NoServer | Self::Unsendable(_) => false,
            Self::Connect(error) => !is_out_of_files(error),
            Self::ConnectTimeout | Self::Protocol | Self::Timeout => true,
        }
    }
}

fn is_out_of_files(error: &ConnectError) -> bool {
    causes(error).any(|cause| {
        let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        cfg!(unix) && matches!(code, Some(EMFILE | ENFILE))
    })
}

/// Too many open files, in the process and in the system: the same on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => f.write_str(&error_chain(error)),
            Self::Busy => f.write_str("all of its max_connections are taken"),
            Self::Connect(error) => f.write_str(&error_chain(error)),
            Self::ConnectTimeout => f.write_str("it can't be reached in time"),
            Self::NoServer => f.write_str("it has no server"),
            Self::Protocol => f.write_str("it switched to a protocol that nobody asked for"),
            Self::Timeout => f.write_str("its response did not begin in time"),
            Self::Unsendable(error) => write!(f, "the request can't be written: {error}"),
        }
    }
}

impl Error for ProxyError {}

/// What an error and its causes say.
pub(super) fn error_chain(error: &(dyn Error + 'static)) -> String {
    Vec::from_iter(causes(error).map(ToString::to_string)).join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
