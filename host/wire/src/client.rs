//! Who is at the other end, seen past the proxies that the operator trusts. What any other peer says about itself in
//! `X-Forwarded-*` is not believed (CVE-2026-40575).

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
    /// The client's address; none: nobody knows it.
    pub address: Option<IpAddr>,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// Who is at the other end of the connection: the client itself, or a proxy.
    pub peer: Peer,
    /// Whether the peer is a proxy whose `X-Forwarded-*` headers are believed.
    pub peer_is_trusted: bool,
    /// DER of the client's verified certificate. What a trusted proxy shows is the proxy's, so that its clients have none.
    pub certificate: Option<Bytes>,
    /// What the client may have bound a token to: this TLS connection. None where a trusted proxy ended the client's.
    pub channel_binding: Option<Bytes>,
}

impl Client {
    /// Adds the certificate that the peer of the connection showed, if the peer is the client.
    pub fn with_certificate(mut self, certificate: Option<Bytes>) -> Self {
        self.certificate = certificate.filter(|_| !self.peer_is_trusted);
        self
    }

    /// Adds what the connection of the peer can be bound to, if the peer is the client.
    pub fn with_channel_binding(mut self, binding: Option<Bytes>) -> Self {
        self.channel_binding = binding.filter(|_| !self.peer_is_trusted);
        self
    }

    /// The client of a front that was believed so far. What else its headers claim is the client's own word.
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

    /// The address for people: `unknown` where nobody knows it.
    pub fn shown_address(&self) -> impl Display {
        fmt::from_fn(|f| match self.address {
            Some(address) => address.fmt(f),
            None => f.pad("unknown"),
        })
    }

    /// Looks past trusted proxies: the address is the rightmost of `X-Forwarded-For` that is not itself such a proxy's.
    ///
    /// `scheme` is the listener's. An entry that is no address ends the search at the last proxy that was one.
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

/// The rightmost address of `X-Forwarded-For` that is not a trusted proxy's, else the leftmost that was read; none: the
/// last entry is no address, or there is none.
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

/// The proxies that a request came through.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme that the client used.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The entries of a list, last first: the nearest proxy added the last.
fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    // A value that is no text is no address either, so it stays in the list to end the search.
    let fields = headers
        .get_all(name)
        .into_iter()
        .rev()
        .map(|value| value.to_str().unwrap_or("?"));
    fields.flat_map(|field| field.rsplit(',')).map(str::trim)
}

/// An address with or without a port; some proxies add one.
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

/// `http` or `https`, in any case.
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
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy() {
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
    fn the_scheme_is_a_trusted_proxys_word_or_the_listeners() {
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
    fn other_headers_say_nothing() {
        for name in ["forwarded", "x-real-ip", "x_forwarded_for", "x-client-ip"] {
            assert_eq!(client("10.0.0.1", &[(name, "for=6.6.6.6")]).0, "10.0.0.1", "{name}");
        }
    }
}
