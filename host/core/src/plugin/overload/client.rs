//! The unit of limits: an IPv4 address or an IPv6 network of 64 bits counts as one client. A subscriber gets at least
//! such a network (RFC 6177), and could otherwise use a new address for every request.

use std::net::IpAddr;
use std::net::Ipv6Addr;

/// One client. All clients with an unknown address count as one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Client(Option<IpAddr>);

impl Client {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(v6 @ IpAddr::V6(_)) => write!(f, "{v6}/64"),
            Some(v4) => write!(f, "{v4}"),
            None => f.pad("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_is_one_client() {
        for (address, client) in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(Client::of(Some(address.parse().unwrap())).to_string(), client);
        }
    }
}
