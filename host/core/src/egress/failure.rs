//! Why a server sent no response. The plugin gets an error code of `wasi:http`, and the operator gets a log line where
//! the cause is the configuration or TLS.

use std::error::Error as StdError;
use std::io;

use portcullis_wire::tls_error::ServerTlsError;
use wasmtime_wasi_http::Error;

use super::MAX_IN_FLIGHT;
use super::resolver::Prohibited;
use super::resolver::Unresolved;

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
    /// The name wasn't resolved in time.
    LookUpTimeout,
    /// The name resolves to forbidden addresses only.
    Prohibited(Prohibited),
    /// The server refuses connections.
    Refused,
    /// The connection was closed early, or the response is not HTTP.
    Terminated,
    /// The response was not complete in time.
    Timeout,
    /// TLS failed. The text holds nothing of the request.
    Tls(String),
    /// No connection can be made, for this reason: no route, for example.
    Unreachable(String),
    /// The name doesn't resolve, for this reason.
    Unresolved(String),
}

impl Failure {
    /// Finds the cause by its type. An I/O error doesn't return the error that it wraps as its `source`.
    pub(super) fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            let wrapped = cause.downcast_ref::<io::Error>();
            let inner = wrapped.and_then(io::Error::get_ref);
            if let Some(found) = Self::known(cause).or_else(|| inner.and_then(|inner| Self::known(inner))) {
                return found;
            }
            if let Some(found) = wrapped.and_then(|wrapped| Self::of_io(wrapped, error.is_connect())) {
                return found;
            }
            next = inner.map_or_else(|| cause.source(), |inner| Some(inner));
        }
        match error.source() {
            Some(cause) if error.is_connect() => Self::Unreachable(cause.to_string()),
            _ => Self::Terminated,
        }
    }

    fn of_io(error: &io::Error, connecting: bool) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::TimedOut => Some(Self::ConnectTimeout),
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            _ if connecting && error.raw_os_error().is_some() => Some(Self::Unreachable(error.to_string())),
            _ => None,
        }
    }

    fn known(cause: &(dyn StdError + 'static)) -> Option<Self> {
        if let Some(prohibited) = cause.downcast_ref::<Prohibited>() {
            return Some(Self::Prohibited(*prohibited));
        }
        if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
            return Some(match unresolved {
                Unresolved::Late => Self::LookUpTimeout,
                Unresolved::Failed(why) => Self::Unresolved(why.clone()),
            });
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>()
            && error.is_parse_too_large()
        {
            return Some(Self::Head);
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
                "{server}: not sent, because {MAX_IN_FLIGHT} requests of this authenticator are in flight"
            )),
            Self::Prohibited(prohibited) => Some(format!("denied: {server}: {prohibited}")),
            Self::Tls(error) => Some(format!("{server}: TLS failed: {error}")),
            Self::Unreachable(why) => Some(format!("{server}: no connection: {why}")),
            Self::Unresolved(why) => Some(format!("{server}: the name doesn't resolve: {why}")),
            Self::LookUpTimeout => Some(format!("{server}: the name wasn't resolved in time")),
            Self::Head => Some(format!(
                "{server}: the head of its response is larger than 64 KiB, or has more than 100 headers"
            )),
            Self::Coding => Some(format!(
                "{server}: its response has a transfer coding other than chunked"
            )),
            Self::ConnectTimeout | Self::Refused | Self::Terminated | Self::Timeout => None,
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
            Failure::LookUpTimeout => Self::DnsTimeout,
            Failure::Prohibited(_) => Self::DestinationIpProhibited,
            Failure::Refused => Self::ConnectionRefused,
            Failure::Terminated => Self::ConnectionTerminated,
            Failure::Timeout => Self::ConnectionReadTimeout,
            Failure::Tls(_) => Self::TlsCertificateError,
            Failure::Unreachable(_) => Self::DestinationUnavailable,
            Failure::Unresolved(_) => Self::DnsError {
                rcode: None,
                info_code: None,
            },
        }
    }
}
