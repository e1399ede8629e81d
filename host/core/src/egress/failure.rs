//! Why another server gave no answer: one word for the plugin, and a line for the operator where it can do something.

use std::error::Error as StdError;
use std::io;

use wasmtime_wasi_http::Error;

use super::resolver::Prohibited;

/// Why an exchange failed. A clone tells another request that waited for the same exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// No connection in time.
    ConnectTimeout,
    /// The head of the answer is larger than allowed.
    Head,
    /// More requests at once than may be.
    Limited,
    /// The name leads to addresses that it may not lead to.
    Prohibited(Prohibited),
    /// Nobody listens, or the name leads nowhere.
    Refused,
    /// The connection broke off, or what came was no HTTP.
    Terminated,
    /// No complete answer in time.
    Timeout,
    /// TLS failed, in words that hold nothing of the request.
    Tls(String),
}

impl Failure {
    /// Finds the cause by its type. Errors of I/O hold what they wrap where `source` doesn't show it.
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
        Some(Self::Tls(tls.to_string()))
    }

    /// Whether a stored answer may stand in for the one that didn't come: the server failed, and was not forbidden.
    pub(super) fn is_the_servers(&self) -> bool {
        !matches!(self, Self::Limited | Self::Prohibited(_))
    }

    /// What the operator is told, if anything but the plugin's own word is of use.
    pub(super) fn line(&self, server: &str) -> Option<String> {
        match self {
            Self::Limited => Some(format!(
                "{server}: not asked, since too many outbound requests are under way"
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
