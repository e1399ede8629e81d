//! Everything between a socket and a request: listening, the PROXY protocol, TLS, HTTP/1.1 and HTTP/2, and graceful
//! shutdown. A [`connection::Service`] answers the requests.

pub(crate) mod connection;
mod error;
mod handler;
pub(crate) mod handshake;
pub(crate) mod listener;
pub(crate) mod passthrough;
mod shutdown;
mod socket;
pub(crate) mod systemd;

pub(crate) use self::error::ServeError;
pub(crate) use self::shutdown::Shutdown;
pub(crate) use self::socket::BoundAddress;
pub(crate) use self::socket::Inherited;
pub(crate) use self::socket::OpenSockets;
pub(crate) use self::socket::Opened;
pub(crate) use self::socket::Socket;
pub(crate) use self::socket::Stream;
