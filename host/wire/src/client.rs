//! The client of a request, as seen past trusted proxies. The `X-Forwarded-*` headers of any other peer are not
//! believed (CVE-2026-40575).

use std::fmt;
use std::fmt::Display;
use std::net::IpAddr;
use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::uri::Scheme;

use crate::peer::Peer;
use crate::peer::TrustedProxies;

/// The client of one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// The client's address. `None` if it isn't known.
    pub address: Option<IpAddr>,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// The other end of the connection: the client itself, or a proxy.
    pub peer: Peer,
    /// Whether the peer is a proxy whose `X-Forwarded-*` headers are believed.
    pub peer_is_trusted: bool,
    /// The client's verified certificate, in DER. `None` behind a trusted proxy, whose certificate is its own.
    pub certificate: Option<Bytes>,
    /// The channel binding of the client's TLS connection. `None` behind a trusted proxy, which ends that connection.
    pub channel_binding: Option<Bytes>,
}

impl Client {
    /// Adds the certificate of the peer, if the peer is the client.
    pub fn with_certificate(mut self, certificate: Option<Bytes>) -> Self {
        self.certificate = certificate.filter(|_| !self.peer_is_trusted);
        self
    }

    /// Adds the channel binding of the connection, if the peer is the client.
    pub fn with_channel_binding(mut self, binding: Option<Bytes>) -> Self {
        self.channel_binding = binding.filter(|_| !self.peer_is_trusted);
        self
    }

    /// A client of a front. The headers of its request are not believed: the front passes on what the client sent.
    pub fn behind(front: Peer, scheme: Scheme, address: impl Into<Option<IpAddr>>) -> Self {
        Self {
            address: address.into(),
            scheme,
            peer: front,
            peer_is_trusted: false,
            certificate: None,
            channel_binding: None,
        }
    }

    /// The address for people: `unknown` if it isn't known.
    pub fn shown_address(&self) -> impl Display {
        fmt::from_fn(|f| match self.address {
            Some(address) => address.fmt(f),
            None => f.pad("unknown"),
        })
    }

    /// Finds the client behind trusted proxies. Its address is the rightmost one in `X-Forwarded-For` that isn't a
    /// trusted proxy.
    ///
    /// `scheme` is the listener's. The search ends at an entry that isn't an address; the entry to the right of it, or
    /// else the peer, is then the client.
    pub fn of(peer: Peer, scheme: Scheme, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        if !trusted.trust(&peer) {
            return Self {
                address: peer.address(),
                scheme,
                peer,
                peer_is_trusted: false,
                certificate: None,
                channel_binding: None,
            };
        }
        let address = forwarded_address(headers, trusted).or_else(|| peer.address());
        let scheme = entries(headers, X_FORWARDED_PROTO)
            .next()
            .and_then(parse_scheme)
            .unwrap_or(scheme);
        Self {
            address,
            scheme,
            peer,
            peer_is_trusted: true,
            certificate: None,
            channel_binding: None,
        }
    }
}

/// The rightmost address in `X-Forwarded-For` that isn't a trusted proxy, or else the leftmost address that was read.
/// `None` if there is no entry, or if the last one isn't an address.
pub fn forwarded_address(headers: &HeaderMap, trusted: &TrustedProxies) -> Option<IpAddr> {
    let mut address = None;
    for hop in entries(headers, X_FORWARDED_FOR) {
        let Some(hop) = parse_address(hop) else { break };
        address = Some(hop);
        if !trusted.contain(&hop) {
            break;
        }
    }
    address
}

/// The addresses of the client and of the proxies that a request came through.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme that the client used.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The entries of a list header, last first. The nearest proxy added the last entry.
fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    // A value that isn't text must end the search like any other entry that isn't an address, so it isn't skipped.
    let fields = headers
        .get_all(name)
        .into_iter()
        .rev()
        .map(|value| value.to_str().unwrap_or("?"));
    fields.flat_map(|field| field.rsplit(',')).map(str::trim)
}

/// An address with or without a port, which some proxies add.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse()
        .ok()
        .or_else(with_port)
        .map(|address: IpAddr| address.to_canonical())
}

/// Reads `http` or `https`, ignoring case.
pub fn parse_scheme(text: &str) -> Option<Scheme> {
    [Scheme::HTTP, Scheme::HTTPS]
        .into_iter()
        .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> (String, String) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let trusted = TrustedProxies::new(trusted, peer == "unix");
        let peer = match peer {
            "unix" | "untrusted unix" => Peer::Unix,
            "unknown" => Peer::Unknown,
            address => SocketAddr::new(address.parse().unwrap(), 1).into(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let client = Client::of(peer, Scheme::HTTP, &map, &trusted);
        (client.shown_address().to_string(), client.scheme.to_string())
    }

    #[test]
    #[rustfmt::skip]
    fn the_client_is_the_rightmost_address_that_isnt_a_trusted_proxy() {
        for (peer, forwarded, address) in [
            ("1.1.1.1", &[][..], "1.1.1.1"),
            ("1.1.1.1", &["6.6.6.6"], "1.1.1.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6"], "6.6.6.6"),
            ("10.0.0.1", &["9.9.9.9, 6.6.6.6"], "6.6.6.6"),
            ("10.0.0.1", &["9.9.9.9,6.6.6.6 , 10.0.0.2"], "6.6.6.6"),
            ("10.0.0.1", &["9.9.9.9", "6.6.6.6", "10.0.0.2"], "6.6.6.6"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["6.6.6.6:4711"], "6.6.6.6"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["::ffff:6.6.6.6"], "6.6.6.6"),
            ("10.0.0.1", &["6.6.6.6, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["6.6.6.6, "], "10.0.0.1"),
            ("unix", &[], "unknown"),
            ("unix", &["6.6.6.6"], "6.6.6.6"),
            ("unix", &["9.9.9.9, 6.6.6.6, 10.0.0.2"], "6.6.6.6"),
            ("unix", &["6.6.6.6, unknown"], "unknown"),
            ("untrusted unix", &["6.6.6.6"], "unknown"),
            ("unknown", &["6.6.6.6"], "unknown"),
        ] {
            let headers = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect::<Vec<_>>();
            assert_eq!(client(peer, &headers).0, address, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn the_scheme_comes_from_a_trusted_proxy_or_the_listener() {
        for (peer, forwarded, scheme) in [
            ("1.1.1.1", "https", "http"),
            ("10.0.0.1", "https", "https"),
            ("10.0.0.1", "HTTPS", "https"),
            ("10.0.0.1", "https, http", "http"),
            ("10.0.0.1", "javascript", "http"),
        ] {
            assert_eq!(
                client(peer, &[("x-forwarded-proto", forwarded)]).1,
                scheme,
                "{peer} {forwarded}"
            );
        }
    }

    #[test]
    fn a_trusted_proxys_certificate_and_channel_binding_are_not_the_clients() {
        let trusted = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], false);
        for (peer, is_client) in [("10.0.0.1", false), ("1.1.1.1", true)] {
            let peer = SocketAddr::new(peer.parse().unwrap(), 1).into();
            let given = Bytes::from_static(b"given");
            let client = Client::of(peer, Scheme::HTTPS, &HeaderMap::new(), &trusted)
                .with_certificate(Some(given.clone()))
                .with_channel_binding(Some(given.clone()));
            let kept = is_client.then_some(given);
            assert_eq!((&client.certificate, &client.channel_binding), (&kept, &kept), "{peer}");
        }
    }

    #[test]
    fn other_headers_are_ignored() {
        for name in ["forwarded", "x-real-ip", "x_forwarded_for", "x-client-ip"] {
            assert_eq!(client("10.0.0.1", &[(name, "for=6.6.6.6")]).0, "10.0.0.1", "{name}");
        }
    }
}
