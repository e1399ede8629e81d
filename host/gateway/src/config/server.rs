//! `[server]`: the public listener, and what it believes.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

/// The public listener.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The peers whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Largest head of a request, request line and headers together, in bytes.
    pub(crate) max_header_size: usize,
    /// How long a client may take to send the head of a request.
    pub(crate) header_timeout: Duration,
    /// How long running requests may take once the gateway was told to stop.
    pub(crate) shutdown_timeout: Duration,
}
