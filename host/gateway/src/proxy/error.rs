//! Errors of requests to upstreams, and the status that the client gets for each.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;

use http::StatusCode;
use portcullis_wire::content_length::UnknownTransferCoding;

use super::connect::ConnectError;
use crate::proxy::body::BodyError;

/// Why an upstream gave no usable response.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// The server closed the connection, or violated the HTTP protocol.
    Broken(hyper::Error),
    /// All `max_connections` are in use, and none became free in time.
    Busy,
    /// The connection failed.
    Connect(ConnectError),
    /// The response has a body that can't be read.
    Framing(UnknownTransferCoding),
    /// No connection could be made in time.
    ConnectTimeout,
    /// The server switched to a protocol that the client didn't offer.
    Protocol,
    /// The upstream has no servers.
    NoServer,
    /// The response didn't begin in time.
    Timeout,
    /// The request can't be represented in the server's protocol.
    Unsendable(http::Error),
}

/// A request that no server answered.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// The server that was tried last.
    pub(crate) server: String,
    /// Why that server didn't answer.
    pub(crate) error: ProxyError,
}

impl Unanswered {
    pub(super) fn new(server: &str, error: ProxyError) -> Self {
        Self {
            server: server.to_owned(),
            error,
        }
    }

    /// The error of an upstream without servers.
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

    /// What happened, in a word for metrics and traces.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::ConnectTimeout | Self::Timeout => "timeout",
            _ => "failed",
        }
    }

    /// The error of the request's body, if that is the reason.
    pub(crate) fn body_error(&self) -> Option<&BodyError> {
        match self {
            Self::Broken(error) => causes(error).find_map(|cause| cause.downcast_ref()),
            _ => None,
        }
    }

    /// The status for the client: 504 (RFC 9110, section 15.6.5) after a timeout, 503 if there are too many requests or
    /// too many open files, else 502.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::ConnectTimeout | Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect(error) if causes(error).any(is_timeout) => StatusCode::GATEWAY_TIMEOUT,
            Self::Connect(error) if is_out_of_files(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_)
            | Self::Connect(_)
            | Self::Framing(_)
            | Self::NoServer
            | Self::Protocol
            | Self::Unsendable(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether the server declared the request unprocessed: it refused the stream, or it sent GOAWAY before it
    /// processed the stream (RFC 9113, section 8.7).
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        causes(error)
            .filter_map(|error| error.downcast_ref::<h2::Error>())
            .filter(|error| error.is_remote())
            .any(|error| match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => error.is_reset(),
                // With any other reason, streams that were processed fail with the same error.
                Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                _ => false,
            })
    }

    /// Whether the server is at fault, so that another one may succeed.
    pub(super) fn is_server_fault(&self) -> bool {
        match self {
            // The client's body failed, or the client closed the connection.
            Self::Broken(error) => !error.is_user() && !error.is_body_write_aborted(),
            Self::Busy | Self::NoServer | Self::Unsendable(_) => false,
            Self::Connect(error) => !is_out_of_files(error),
            Self::ConnectTimeout | Self::Framing(_) | Self::Protocol | Self::Timeout => true,
        }
    }
}

fn is_out_of_files(error: &ConnectError) -> bool {
    causes(error).any(|cause| {
        let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        cfg!(unix) && matches!(code, Some(EMFILE | ENFILE))
    })
}

/// Too many open files in the process and in the system. Every Unix has the same numbers.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => f.write_str(&error_chain(error)),
            Self::Busy => f.write_str("all of its max_connections are in use"),
            Self::Connect(error) => error.fmt(f),
            Self::ConnectTimeout => f.write_str("it couldn't be reached in time"),
            Self::Framing(error) => error.fmt(f),
            Self::NoServer => f.write_str("it has no servers"),
            Self::Protocol => f.write_str("it switched to a protocol that the client didn't offer"),
            Self::Timeout => f.write_str("its response didn't begin in time"),
            Self::Unsendable(error) => write!(f, "the request can't be sent: {error}"),
        }
    }
}

impl Error for ProxyError {}

/// The messages of an error and of its sources.
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
