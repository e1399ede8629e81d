//! The host of a grant: an address, a name, or all names below one. An address is compared as an address, so that its
//! spelling neither widens nor narrows a grant.

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
    /// The host of a grant as an operator writes it.
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
            None if name.starts_with('[') => Err("what is in brackets is no IPv6 address; a zone can't be granted"),
            None if !is_name(&name) => Err("its host is neither a name nor an address"),
            None if ends_in_a_number(&name) => Err("write the address in its usual form, such as 127.0.0.1"),
            None => Ok(Self::Name(name)),
        }
    }

    /// Whether this is the host of a URI.
    pub(super) fn permits(&self, host: &str) -> bool {
        match (self, address(host)) {
            (Self::Address(granted), Some(asked)) => *granted == asked,
            (Self::Name(granted), None) => *granted == normalized(host),
            (Self::Below(suffix), None) => below(&normalized(host), suffix),
            _ => false,
        }
    }

    /// Whether every host of the other is one of this.
    pub(super) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(suffix), Self::Name(name) | Self::Below(name)) => below(name, suffix) || name == suffix,
            (one, other) => one == other,
        }
    }

    /// Whether it stands for the machine itself wherever it is asked for (RFC 6761, section 6.3).
    pub(super) fn is_localhost(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Below(suffix) => suffix == ".localhost" || suffix.ends_with(".localhost"),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

/// The address that a URI's host is, if it is one; IPv6 in brackets. Only what the connector too takes for an address
/// counts: it dials that without asking a resolver.
fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// Whether this is all of a host. `Uri` finds one in `x[::1]`, which no server has.
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

/// Whether resolvers may read a name as an address: `2130706433`, `0x7f.1`, `127.1` (the URL standard's check, since
/// no top-level domain is a number).
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
