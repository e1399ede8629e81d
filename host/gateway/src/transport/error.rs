//! Why the gateway can't serve. Each says what to do where that is not plain.

use std::io;

use crate::config::ListenAddress;
use crate::tls::TlsError;

/// Why the gateway can't serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The address is taken, not this machine's, or not allowed.
    #[error("can't listen on {address}: {source}{}", advice(address, source))]
    Listen {
        /// The address as configured.
        address: ListenAddress,
        /// What the system says.
        source: io::Error,
    },
    /// TLS can't be served with what is configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no signals.
    #[error("can't listen for signals: {0}")]
    Signals(io::Error),
}

/// What to do about a socket that the system refuses.
fn advice(address: &ListenAddress, source: &io::Error) -> &'static str {
    match (address, source.kind()) {
        (ListenAddress::Tcp(_), io::ErrorKind::AddrInUse) => {
            "; another process listens there, perhaps a gateway that still runs: `ss -ltnp` names it"
        }
        (ListenAddress::Unix(_), io::ErrorKind::AddrInUse) => {
            "; another process listens there, perhaps a gateway that still runs: `ss -lxp` names it"
        }
        (ListenAddress::Tcp(_), io::ErrorKind::PermissionDenied) => {
            "; ports below 1024 take the capability CAP_NET_BIND_SERVICE, or a socket that systemd opens"
        }
        _ => "",
    }
}
