//! Why a server sent no response. The plugin gets an error code of `wasi:http`, and the operator gets a log line where
//! the cause is the configuration or TLS.

use std::error::Error as StdError;
use std::io;

use portcullis_wire::tls_error::ServerTlsError;
use wasmtime_wasi_http::Error;

use super::resolver::Prohibited;

/// Why an exchange failed. It is cloned for each request that waited for the exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The response has a transfer coding that isn't decoded.
    Coding,
    /// The connection was not established in time.
    ConnectTimeout,
    /// The head of the response is too large.
    Head,
    /// Too many requests are in flight.
    Limited,
    /// The name resolves to forbidden addresses only.
    Prohibited(Prohibited),
    /// The connection was refused, or the name doesn't resolve.
    Refused,
    /// The connection was closed early, or the response is not HTTP.
    Terminated,
    /// The response was not complete in time.
    Timeout,
    /// TLS failed. The text holds nothing of the request.
    Tls(String),
}

impl Failure {
    /// Finds the cause by its type. An I/O error doesn't return the error that it wraps as its `source`.
    pub(super) fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            let wrapped = cause.downcast_ref::<io::Error>();
            if wrapped.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
                return Self::ConnectTimeout;
            }
            let inner = wrapped.and_then(io::Error::get_ref);
            if let Some(found) = Self::known(cause).or_else(|| inner.and_then(|inner| Self::known(inner))) {
                return found;
            }
            next = inner.map_or_else(|| cause.source(), |inner| Some(inner));
        }
        if error.is_connect() {
            Self::Refused
        } else {
            Self::Terminated
        }
    }

    fn known(cause: &(dyn StdError + 'static)) -> Option<Self> {
        if let Some(prohibited) = cause.downcast_ref::<Prohibited>() {
            return Some(Self::Prohibited(*prohibited));
        }
        let tls = cause.downcast_ref::<rustls::Error>()?;
        Some(Self::Tls(ServerTlsError(tls).to_string()))
    }

    /// Whether a stale response may be used instead: the server failed, and the request was not limited or forbidden.
    pub(super) fn is_the_servers(&self) -> bool {
        !matches!(self, Self::Limited | Self::Prohibited(_))
    }

    /// The log line for the operator. `None` if the plugin's own log says enough.
    pub(super) fn line(&self, server: &str) -> Option<String> {
        match self {
            Self::Limited => Some(format!(
                "{server}: not sent, because too many outbound requests are in flight"
            )),
            Self::Prohibited(prohibited) => Some(format!("denied: {server}: {prohibited}")),
            Self::Tls(error) => Some(format!("{server}: TLS failed: {error}")),
            _ => None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Coding => Self::HttpResponseTransferCoding(None),
            Failure::ConnectTimeout => Self::ConnectionTimeout,
            Failure::Head => Self::HttpResponseHeaderSectionSize(None),
            Failure::Limited => Self::ConnectionLimitReached,
            Failure::Prohibited(_) => Self::DestinationIpProhibited,
            Failure::Refused => Self::ConnectionRefused,
            Failure::Terminated => Self::ConnectionTerminated,
            Failure::Timeout => Self::ConnectionReadTimeout,
            Failure::Tls(_) => Self::TlsCertificateError,
        }
    }
}
