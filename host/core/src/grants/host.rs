//! The host of a grant: an address, a name, or all names below a name. Addresses are compared as addresses, so that
//! their spelling doesn't matter.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Host {
    Address(IpAddr),
    Below(String),
    Name(String),
}

impl Host {
    /// Parses the host of a grant.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(address) = address(text) {
            return Ok(Self::Address(address));
        }
        let name = normalized(text);
        match name.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 && is_name(suffix) => {
                Ok(Self::Below(suffix.to_owned()))
            }
            Some(_) => Err("`*` stands for a host's first labels only: *.example.com"),
            None if name.is_empty() || name.contains('*') => Err("it names no host"),
            None if name.starts_with('[') => {
                Err("the text in brackets is not an IPv6 address; a zone can't be granted")
            }
            None if !is_name(&name) => Err("its host is neither a name nor an address"),
            None if ends_in_a_number(&name) => Err("write the address in its usual form, such as 127.0.0.1"),
            None => Ok(Self::Name(name)),
        }
    }

    /// Whether this covers the host of a URI.
    pub(super) fn permits(&self, host: &str) -> bool {
        match (self, address(host)) {
            (Self::Address(granted), Some(asked)) => *granted == asked,
            (Self::Name(granted), None) => *granted == normalized(host),
            (Self::Below(suffix), None) => below(&normalized(host), suffix),
            _ => false,
        }
    }

    /// Whether this covers every host that the other covers.
    pub(super) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(suffix), Self::Name(name) | Self::Below(name)) => below(name, suffix) || name == suffix,
            (one, other) => one == other,
        }
    }

    /// Whether resolvers map it to the loopback interface (RFC 6761, section 6.3).
    pub(super) fn is_localhost(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Below(suffix) => suffix.ends_with(".localhost"),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

/// The address that is a URI's host, with IPv6 in brackets. `None` if the host is a name. The connector makes the same
/// distinction, and connects to an address without resolving it.
fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// Whether the characters are those of a name. `Uri` also accepts `x[::1]`.
fn is_name(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Names are compared without case and without the root's dot (RFC 9110, section 4.2.3; RFC 1034, section 3.1).
fn normalized(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|labels| !labels.is_empty())
}

/// Whether resolvers may parse a name as an address: `2130706433`, `0x7f.1`, `127.1`. This is the check of the URL
/// standard, and correct because no top-level domain is a number.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x");
    (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
