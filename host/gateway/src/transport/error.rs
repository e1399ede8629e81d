//! Errors that keep the gateway from serving. Where the remedy isn't obvious, the message says what to do.

use std::io;

use crate::config::ListenAddress;
use crate::tls::TlsError;

/// Why the gateway can't serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The address is in use, doesn't belong to this machine, or isn't permitted.
    #[error("can't listen on {address}: {source}{}", advice(address, source))]
    Listen {
        /// The address as configured.
        address: ListenAddress,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Sockets that are open would have to be closed first.
    #[error("can't listen on {address} while the gateway runs, because {why}: restart it")]
    NeedsRestart {
        /// The address as configured.
        address: ListenAddress,
        /// What is in the way.
        why: String,
    },
    /// The TLS configuration can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The signal handlers can't be installed.
    #[error("can't listen for signals: {0}")]
    Signals(io::Error),
}

/// What to do if the system refuses a socket.
fn advice(address: &ListenAddress, source: &io::Error) -> &'static str {
    match (address, source.kind()) {
        (ListenAddress::Tcp(_), io::ErrorKind::AddrInUse) => {
            "; another process listens there, perhaps a gateway that is still running: `ss -ltnp` shows it"
        }
        (ListenAddress::Unix(_), io::ErrorKind::AddrInUse) => {
            "; another process listens there, perhaps a gateway that is still running: `ss -lxp` shows it"
        }
        (ListenAddress::Tcp(_), io::ErrorKind::PermissionDenied) => {
            "; ports below 1024 need the capability CAP_NET_BIND_SERVICE, or a socket that systemd opens"
        }
        _ => "",
    }
}
