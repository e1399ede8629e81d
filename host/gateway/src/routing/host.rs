//! The hosts of a route: a name or an address, or all names below a name.

use std::fmt;

/// A host in the configuration, in lower case and without a port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum HostPattern {
    /// All names below this one, which begins with a dot: `.example.com` for `*.example.com`.
    Below(String),
    /// Exactly this name or address.
    Exact(String),
}

impl HostPattern {
    /// Parses `hub.example.org`, `*.example.org`, `127.0.0.1` or `[::1]`. A final dot is ignored (RFC 1034, section 3.1).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Some(below) = text.strip_prefix('*') {
            let name = below.strip_prefix('.')?;
            return is_name(name).then(|| Self::Below(below.to_owned()));
        }
        (is_name(&text) || is_bracketed_address(&text)).then_some(Self::Exact(text))
    }

    /// Whether it covers a host, which must be in lower case and without a port or a final dot.
    pub(crate) fn covers(&self, host: &str) -> bool {
        match self {
            // There must be something in front of the dot, and an address has no names below it.
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Exact(name) => name == host,
        }
    }

    /// Whether it covers every host that the other one covers.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match other {
            Self::Below(suffix) => matches!(self, Self::Below(own) if suffix == own || suffix.ends_with(own.as_str())),
            Self::Exact(name) => self.covers(name),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

/// Returns the host in the form that routes use: in lower case (RFC 3986, section 3.2.2), without a final dot and without
/// a port.
pub(crate) fn host_of(authority: &str) -> String {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let host = authority.get(..end).unwrap_or(authority);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    // nginx writes `_` for every host.
    let label = |label: &str| !label.is_empty() && label != "_" && label.bytes().all(allowed);
    text.len() <= 253 && text.split('.').all(label)
}

fn is_bracketed_address(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_host_or_all_names_below_one() {
        for (text, host, covers) in [
            ("hub.example.org", "hub.example.org", true),
            ("HUB.example.org.", "hub.example.org", true),
            ("hub.example.org", "x.hub.example.org", false),
            ("*.example.org", "hub.example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("*.example.org", "evilexample.org", false),
            ("[::1]", "[::1]", true),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(HostPattern::parse(text).unwrap().covers(host), covers, "{text} {host}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*example.org",
            "a.*.org",
            "*.*.org",
            ".example.org",
            "a..b",
            "_",
            "a:80",
            "[x]",
        ] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_wildcard_includes_names_and_wildcards_below_it() {
        for (wide, narrow, expected) in [
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "*.a.example.org", true),
            ("*.example.org", "*.example.org", true),
            ("*.a.example.org", "*.example.org", false),
            ("a.example.org", "*.example.org", false),
        ] {
            let [wide_pattern, narrow_pattern] = [wide, narrow].map(|text| HostPattern::parse(text).unwrap());
            assert_eq!(wide_pattern.includes(&narrow_pattern), expected, "{wide} {narrow}");
            assert_eq!(wide_pattern.to_string(), wide);
        }
    }
}
