//! The unit of limits: an IPv4 address or an IPv6 network of 64 bits counts as one client. A subscriber gets at least
//! such a network (RFC 6177), and could otherwise use a new address for every request.

use std::net::IpAddr;
use std::net::Ipv6Addr;

/// One client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Client(IpAddr);

impl Client {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            v6 @ IpAddr::V6(_) => write!(f, "{v6}/64"),
            v4 @ IpAddr::V4(_) => write!(f, "{v4}"),
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
            assert_eq!(Client::of(address.parse().unwrap()).to_string(), client);
        }
    }
}
