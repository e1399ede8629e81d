//! `[[server.passthrough]]`: TLS connections that are forwarded without being decrypted. Rules match the host name in the
//! first TLS message (SNI).

use std::fmt;
use std::net::SocketAddr;

use http::uri::Authority;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;

use crate::config::Listen;
use crate::config::ListenAddress;

/// The maximum number of rules.
const MAX_RULES: usize = 64;

/// A rule for connections that are forwarded without being decrypted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PassthroughConfig {
    /// The host names to which the rule applies.
    pub(crate) sni: SniPattern,
    /// The host and port to which the connections are forwarded.
    pub(crate) upstream: String,
    /// The maximum number of concurrent connections.
    pub(crate) max_connections: usize,
    /// Whether each begins with a PROXY header that names the client.
    pub(crate) proxy_protocol: bool,
}

/// A pattern for host names, in lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SniPattern {
    /// All names that begin with this text, written `daskgateway-*`.
    Beginning(String),
    /// All names that end with this text, which begins with a dot, written `*.example.com`.
    Below(String),
    /// Exactly this name.
    Host(String),
}

impl SniPattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_part = |part: &str| !part.is_empty() && part.len() <= 253 && part.bytes().all(allowed);
        if let Some(beginning) = text.strip_suffix('*') {
            return is_part(beginning).then(|| Self::Beginning(beginning.to_owned()));
        }
        if let Some(end) = text.strip_prefix("*.") {
            return (is_part(end) && !end.starts_with('.')).then(|| Self::Below(format!(".{end}")));
        }
        is_part(&text).then_some(Self::Host(text))
    }

    /// Whether the pattern matches a host name, which must be in lower case.
    pub(crate) fn covers(&self, host: &str) -> bool {
        match self {
            Self::Beginning(beginning) => host.len() > beginning.len() && host.starts_with(beginning),
            Self::Below(end) => host.len() > end.len() && host.ends_with(end),
            Self::Host(name) => host == name,
        }
    }
}

impl fmt::Display for SniPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
            Self::Below(end) => write!(f, "*{end}"),
            Self::Host(name) => f.write_str(name),
        }
    }
}

/// Reads the rules of the listener on these addresses. They need a listener with TLS.
pub(super) fn rules(item: Item<'_>, listen: &Listen, has_tls: bool) -> Vec<PassthroughConfig> {
    let place = item.place.clone();
    let items = item.list();
    if !items.is_empty() && !has_tls {
        place.report("needs TLS on the listener: set server.tls");
    }
    if items.len() > MAX_RULES {
        place.report(format!("more than {MAX_RULES} entries"));
    }
    let mut rules: Vec<PassthroughConfig> = Vec::with_capacity(items.len());
    for item in items {
        let place = item.place.clone();
        let Some(rule) = rule(item, listen) else { continue };
        if rules.iter().any(|earlier| earlier.sni == rule.sni) {
            place.report(format!("{} is listed twice", rule.sni));
        }
        rules.push(rule);
    }
    rules
}

fn rule(item: Item<'_>, listen: &Listen) -> Option<PassthroughConfig> {
    let mut table = item.table()?;
    let sni = table.require("sni").and_then(|item| {
        item.parse(
            "a host name, its beginning such as \"daskgateway-*\", or \"*.example.com\"",
            SniPattern::parse,
        )
    });
    let upstream = table.require("upstream").and_then(|item| {
        let place = item.place.clone();
        let upstream = item.parse("a host and a port, such as \"127.0.0.1:8786\"", host_and_port)?;
        report_loop(&place, &upstream, listen);
        Some(upstream)
    });
    let max_connections = table.number("max_connections", DEFAULT_CONNECTIONS, 1..=MAX_CONNECTIONS);
    let proxy_protocol = table.flag("proxy_protocol", false);
    table.finish();
    Some(PassthroughConfig {
        sni: sni?,
        upstream: upstream?,
        max_connections,
        proxy_protocol,
    })
}

fn host_and_port(text: &str) -> Option<String> {
    let authority: Authority = text.parse().ok()?;
    let is_whole = authority.port_u16().is_some_and(|port| port > 0) && !authority.host().is_empty();
    (is_whole && !text.contains('@')).then(|| text.to_owned())
}

/// A connection that is forwarded to the same listener would be forwarded again, until no more connections can be opened.
fn report_loop(place: &Place<'_>, upstream: &str, listen: &Listen) {
    let Ok(upstream) = upstream.parse::<SocketAddr>() else {
        return;
    };
    let is_there = |address: &ListenAddress| match address {
        ListenAddress::Tcp(here) => {
            upstream.port() == here.port()
                && (upstream.ip() == here.ip() || (upstream.ip().is_loopback() && here.ip().is_unspecified()))
        }
        ListenAddress::Systemd(_) | ListenAddress::Unix(_) => false,
    };
    if listen.addresses.iter().any(is_there) {
        place.report("is an address on which the gateway itself listens");
    }
}

const DEFAULT_CONNECTIONS: usize = 1000;
const MAX_CONNECTIONS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn a_pattern_covers_matching_hosts_only() {
        for (pattern, covered, others) in [
            ("daskgateway-*", &["daskgateway-a", "daskgateway-a.b"][..], &["daskgateway-", "daskgateway", "x-daskgateway-a"][..]),
            ("*.example.com", &["a.example.com", "a.b.example.com"], &["example.com", ".example.com", "aexample.com"]),
            ("One.Example", &["one.example"], &["a.one.example", "one.example.a", "one"]),
        ] {
            let parsed = SniPattern::parse(pattern).unwrap();
            assert_eq!(parsed.to_string(), pattern.to_ascii_lowercase());
            for host in covered {
                assert!(parsed.covers(host), "{pattern} {host}");
            }
            for host in others {
                assert!(!parsed.covers(host), "{pattern} {host}");
            }
        }
    }

    #[test]
    fn a_pattern_that_would_cover_all_hosts_or_none_is_rejected() {
        for text in ["", "*", "**", "a*b", "*a", "*.", "*..a", "a.*.b", "a b", "a:443", "*.*"] {
            assert!(SniPattern::parse(text).is_none(), "{text}");
        }
    }
}
