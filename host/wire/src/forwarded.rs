//! `X-Forwarded-*`, which tells the upstream about the client's side of the connection. The headers of a trusted proxy
//! are extended; those of any other peer are replaced.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::FORWARDED;
use http::uri::Scheme;

use crate::client::Client;
use crate::client::X_FORWARDED_FOR;
use crate::client::X_FORWARDED_PROTO;
use crate::header_names::FoldedNames;
use crate::header_names::fold;
use crate::header_names::remove_where;

/// Removes the proxy headers that the peer may not send, before any other code reads them. Returns the removed names.
///
/// For an untrusted peer these are all headers that some server reads as the client's address, scheme, host or path.
/// For a trusted proxy they are only other spellings, which no proxy sends, and `Forwarded` (RFC 7239), which the
/// gateway doesn't extend, so that it would contradict the headers of the gateway.
pub fn remove_untrusted(headers: &mut HeaderMap, client: &Client) -> Vec<HeaderName> {
    remove_where(headers, |name| {
        CLAIMS.contains(name) && (!client.peer_is_trusted || *name == FORWARDED || fold(name) != name.as_str())
    })
}

/// Sets the client's address, the scheme, the host, the port, and the prefix that the gateway removes from the path.
pub fn set(headers: &mut HeaderMap, client: &Client, authority: Option<&str>, prefix: Option<&str>) {
    let mut hops = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        hops.extend_from_slice(value.as_bytes());
        hops.extend_from_slice(b", ");
    }
    let peer = client.peer.address().map(|address| address.to_string());
    hops.extend_from_slice(peer.as_deref().unwrap_or("unknown").as_bytes());
    insert(headers, X_FORWARDED_FOR, HeaderValue::from_bytes(&hops).ok());
    insert(
        headers,
        X_FORWARDED_PROTO,
        HeaderValue::from_str(client.scheme.as_str()).ok(),
    );
    if headers.get_all(X_FORWARDED_HOST).iter().count() != 1 {
        insert(
            headers,
            X_FORWARDED_HOST,
            authority.and_then(|authority| HeaderValue::from_str(authority).ok()),
        );
    }
    if headers.get_all(X_FORWARDED_PORT).iter().count() != 1 {
        insert(headers, X_FORWARDED_PORT, port(client, authority));
    }
    if let Some(prefix) = prefix {
        let outer = headers
            .get(X_FORWARDED_PREFIX)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let whole = [outer.strip_suffix(b"/").unwrap_or(outer), prefix.as_bytes()].concat();
        insert(headers, X_FORWARDED_PREFIX, HeaderValue::from_bytes(&whole).ok());
    }
}

/// The port that the client requested: that of the authority, or the default of the scheme. `None` without an authority.
fn port(client: &Client, authority: Option<&str>) -> Option<HeaderValue> {
    let authority = authority?;
    let host_end = authority.find(']').unwrap_or(0);
    let explicit = authority.get(host_end..)?.split_once(':').map(|(_, port)| port);
    match explicit.filter(|port| !port.is_empty()) {
        Some(port) => HeaderValue::from_str(port).ok(),
        None if client.scheme == Scheme::HTTPS => Some(HeaderValue::from_static("443")),
        None => Some(HeaderValue::from_static("80")),
    }
}

const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Headers that some server reads as the client's address, or as the host, method or path of the request.
static CLAIMS: LazyLock<FoldedNames> = LazyLock::new(|| {
    let further = [
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded",
        "x-original-host",
        "x-original-method",
        "x-original-uri",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    FoldedNames::new(further.map(Cow::Borrowed), &["x-forwarded-"])
});

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::uri::Scheme;

    use super::*;
    use crate::peer::Peer;

    const SENT: [(&str, &str); 11] = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-prefix", "/evil"),
        ("x_forwarded_for", "8.8.8.8"),
        ("x.forwarded-host", "evil.example"),
        ("forwarded", "for=8.8.8.8"),
        ("x-real-ip", "8.8.8.8"),
        ("x-original-url", "/admin"),
        ("x-unrelated", "1"),
    ];

    fn forwarded(peer_is_trusted: bool, scheme: Scheme) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in SENT {
            headers.append(name, value.parse().unwrap());
        }
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let client = Client {
            address: Some(peer),
            scheme,
            peer: Peer::Ip(peer),
            peer_is_trusted,
            certificate: None,
            channel_binding: None,
        };
        remove_untrusted(&mut headers, &client);
        set(&mut headers, &client, Some("app.example:8000"), Some("/app"));
        let mut left = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect::<Vec<_>>();
        left.sort();
        left
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn headers_of_an_untrusted_peer_are_replaced() {
        let expected = pairs(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "app.example:8000"),
            ("x-forwarded-port", "8000"),
            ("x-forwarded-prefix", "/app"),
            ("x-forwarded-proto", "http"),
            ("x-unrelated", "1"),
        ]);
        assert_eq!(forwarded(false, Scheme::HTTP), expected);
    }

    #[test]
    fn headers_of_a_trusted_peer_are_extended() {
        let expected = pairs(&[
            ("x-forwarded-for", "6.6.6.6, 7.7.7.7, 10.0.0.1"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-port", "8000"),
            ("x-forwarded-prefix", "/evil/app"),
            ("x-forwarded-proto", "https"),
            ("x-original-url", "/admin"),
            ("x-real-ip", "8.8.8.8"),
            ("x-unrelated", "1"),
        ]);
        assert_eq!(forwarded(true, Scheme::HTTPS), expected);
    }

    #[test]
    fn the_port_is_the_one_that_the_client_requested() {
        for (authority, scheme, expected) in [
            (Some("app.example"), Scheme::HTTP, Some("80")),
            (Some("app.example"), Scheme::HTTPS, Some("443")),
            (Some("app.example:8443"), Scheme::HTTPS, Some("8443")),
            (Some("app.example:"), Scheme::HTTPS, Some("443")),
            (Some("[::1]"), Scheme::HTTP, Some("80")),
            (Some("[::1]:8000"), Scheme::HTTP, Some("8000")),
            (None, Scheme::HTTP, None),
        ] {
            let client = Client {
                address: None,
                scheme,
                peer: Peer::Unknown,
                peer_is_trusted: false,
                certificate: None,
                channel_binding: None,
            };
            let found = port(&client, authority);
            assert_eq!(found, expected.map(HeaderValue::from_static), "{authority:?}");
        }
    }
}
