//! The other end of a connection, and the proxies that the operator trusts. A peer without an address is never trusted,
//! except for clients of Unix sockets if the operator says so.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// A peer with this address. An IPv4-mapped IPv6 address is written as IPv4.
    Ip(IpAddr),
    /// A process on this machine that connected to a Unix socket of the gateway.
    Unix,
    /// A peer behind a proxy that doesn't send its address.
    Unknown,
}

impl Peer {
    /// The address. `None` if the peer has none, or if it isn't known.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix | Self::Unknown => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address.ip().to_canonical())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.pad("unix"),
            Self::Unknown => f.pad("unknown"),
        }
    }
}

/// The proxies that an operator trusts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    unix: bool,
}

impl TrustedProxies {
    /// With `unix`, all clients of Unix sockets are trusted.
    pub fn new(networks: impl IntoIterator<Item = IpNet>, unix: bool) -> Self {
        Self {
            networks: networks.into_iter().collect(),
            unix,
        }
    }

    /// Whether no peer is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer is trusted.
    pub fn trust(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.contain(address),
            Peer::Unix => self.unix,
            Peer::Unknown => false,
        }
    }

    /// Whether an address belongs to a trusted proxy.
    pub fn contain(&self, address: &IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_without_an_address_is_trusted_only_if_configured() {
        let address = |text: &str| Peer::from(SocketAddr::new(text.parse().unwrap(), 1));
        let networks = || ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for (unix, peer, trusted) in [
            (false, address("10.1.2.3"), true),
            (false, address("::ffff:10.1.2.3"), true),
            (false, address("fd00::1"), true),
            (true, address("11.0.0.1"), false),
            (false, Peer::Unix, false),
            (true, Peer::Unix, true),
            (true, Peer::Unknown, false),
        ] {
            assert_eq!(
                TrustedProxies::new(networks(), unix).trust(&peer),
                trusted,
                "{unix} {peer}"
            );
        }
        assert!(TrustedProxies::default().is_empty());
        assert!(!TrustedProxies::new([], true).is_empty());
    }
}
