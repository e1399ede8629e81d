//! What kind of address a name led to. Special addresses are reachable from the gateway, but are nothing that a name out
//! of a token or a setting should lead to; an IPv6 spelling of an IPv4 address is judged as that address.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Who is behind an address (RFC 6890 and IANA's special-purpose registries).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// This machine or its operator's network: loopback, private (RFC 1918), unique-local (RFC 4193).
    Private,
    /// Anybody on the internet.
    Public,
    /// Nobody whom a name may lead to: link-local, cloud metadata, shared, multicast, reserved, unspecified, tunnels.
    Special,
}

impl Kind {
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
            // Azure's virtual machines ask their host here, though the address is a public one.
            | (168, 63, 129, 16) => Self::Special,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        // A translator or a relay would lead there, so that nothing but a public address is behind it by right.
        if let Some(v4) = embedded(address) {
            return match Self::of_v4(v4) {
                Self::Public => Self::Public,
                Self::Private | Self::Special => Self::Special,
            };
        }
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Private,
            // Metadata of AWS and of Google: unique-local, but nobody's private network.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Self::Special,
            [0xfc00..=0xfdff, ..] => Self::Private,
            // Protocol assignments with Teredo (2001::/23), and documentation.
            [0x2001, 0x0..=0x1ff | 0xdb8, ..] | [0x3fff, 0x0..=0xfff, ..] => Self::Special,
            [0x2000..=0x3fff, ..] => Self::Public,
            // Outside of 2000::/3 nothing is global unicast.
            _ => Self::Special,
        }
    }
}

/// The IPv4 address inside a NAT64 (RFC 6052), 6to4 (RFC 3056) or ISATAP address (RFC 5214).
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

    fn assert_all(kind: Kind, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(Kind::of(text.parse().unwrap()), kind, "{text}");
        }
    }

    #[test]
    fn what_no_name_may_lead_to_is_special_in_every_spelling() {
        assert_all(
            Kind::Special,
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
    fn the_machine_and_its_networks_are_private() {
        assert_all(
            Kind::Private,
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
    fn addresses_of_the_internet_are_public() {
        assert_all(
            Kind::Public,
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
