//! Classifies the addresses to which a name resolves. Special addresses may be reachable from the gateway, but a name
//! from a token or a setting must not lead to them. An IPv4 address inside an IPv6 address is classified as the IPv4
//! address.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The class of an address (RFC 6890 and IANA's special-purpose address registries).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AddressKind {
    /// This machine or a private network: loopback, private (RFC 1918), unique-local (RFC 4193).
    Private,
    /// A global address on the internet.
    Public,
    /// An address that no name may resolve to: link-local, cloud metadata, shared, multicast, reserved, unspecified,
    /// tunnels.
    Special,
}

impl AddressKind {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => Self::of_v4(v4),
                None => Self::of_v6(v6),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        match (a, b, c, d) {
            (10 | 127, ..) | (172, 16..=31, ..) | (192, 168, ..) => Self::Private,
            (0 | 224.., ..)
            | (100, 64..=127, ..)
            | (169, 254, ..)
            | (192, 0, 0 | 2, _)
            | (192, 88, 99, _)
            | (198, 18 | 19, ..)
            | (198, 51, 100, _)
            | (203, 0, 113, _)
            // A service for Azure's virtual machines, though the address is a public one.
            | (168, 63, 129, 16) => Self::Special,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        // A translator or relay forwards to the embedded address, so only a public one is legitimate.
        if let Some(v4) = embedded(address) {
            return match Self::of_v4(v4) {
                Self::Public => Self::Public,
                Self::Private | Self::Special => Self::Special,
            };
        }
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Private,
            // Metadata services of AWS and Google: unique-local addresses, but no private networks.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Self::Special,
            [0xfc00..=0xfdff, ..] => Self::Private,
            // Protocol assignments with Teredo (2001::/23), and documentation.
            [0x2001, 0x0..=0x1ff | 0xdb8, ..] | [0x3fff, 0x0..=0xfff, ..] => Self::Special,
            [0x2000..=0x3fff, ..] => Self::Public,
            // Global unicast addresses are in 2000::/3 only.
            _ => Self::Special,
        }
    }
}

/// The IPv4 address that is embedded in a NAT64 (RFC 6052), 6to4 (RFC 3056) or ISATAP address (RFC 5214).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => from(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_all(kind: AddressKind, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(AddressKind::of(text.parse().unwrap()), kind, "{text}");
        }
    }

    #[test]
    fn special_addresses_are_recognised_in_every_spelling() {
        assert_all(
            AddressKind::Special,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "100.64.0.1",
                "100.100.100.200",
                "168.63.129.16",
                "169.254.169.254",
                "169.254.170.2",
                "192.0.0.192",
                "192.0.2.1",
                "192.88.99.1",
                "198.18.0.1",
                "198.51.100.1",
                "203.0.113.1",
                "224.0.0.1",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::127.0.0.1",
                "::8.8.8.8",
                "::10.0.0.1",
                "::a9fe:a9fe",
                "::ffff:0.0.0.0",
                "::ffff:169.254.169.254",
                "::ffff:a9fe:a9fe",
                "::ffff:0:127.0.0.1",
                "64:ff9b::7f00:1",
                "64:ff9b::a9fe:a9fe",
                "64:ff9b::10.0.0.1",
                "64:ff9b:1::1",
                "64:ff9b:1:ffff::8.8.8.8",
                "100::1",
                "2001::1",
                "2001:0:7f00:1::",
                "2001:10::1",
                "2001:20::1",
                "2001:db8::1",
                "2002:7f00:1::",
                "2002:a00:1::",
                "2002:a9fe:a9fe::",
                "2600::5efe:10.0.0.1",
                "2600::200:5efe:127.0.0.1",
                "3fff::1",
                "5f00::1",
                "fd00:ec2::254",
                "fd00:ec2::123",
                "fd20:ce::254",
                "fe80::1",
                "fe80::5efe:8.8.8.8",
                "fec0::1",
                "ff02::1",
                "ff0e::1",
            ],
        );
    }

    #[test]
    fn loopback_and_private_networks_are_private() {
        assert_all(
            AddressKind::Private,
            &[
                "10.0.0.1",
                "127.0.0.1",
                "127.9.9.9",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "::1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "fc00::1",
                "fd12:3456:789a::1",
            ],
        );
    }

    #[test]
    fn global_addresses_are_public() {
        assert_all(
            AddressKind::Public,
            &[
                "1.1.1.1",
                "100.128.0.1",
                "168.63.129.17",
                "172.32.0.1",
                "192.0.1.1",
                "2600::5efe:8.8.8.8",
                "2606:4700::1111",
                "2002:808:808::",
                "64:ff9b::808:808",
                "::ffff:8.8.8.8",
            ],
        );
    }
}
