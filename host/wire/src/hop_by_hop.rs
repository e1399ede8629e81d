//! Hop-by-hop headers, which belong to one connection and never pass a proxy (RFC 9110, section 7.6.1). They are
//! removed before the gateway adds its own headers, so that `Connection` can't name the latter (CVE-2025-48865).

use http::HeaderMap;
use http::HeaderName;
use http::header;

/// Removes the headers that `Connection` names, and all other hop-by-hop headers.
///
/// `Host` is kept even if it is named. Without it, the upstream could see another host than the one that chose the
/// route.
pub fn remove(headers: &mut HeaderMap) {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| name != header::HOST)
        .collect::<Vec<_>>();
    for name in named.iter().chain(&CONNECTION_HEADERS) {
        headers.remove(name);
    }
}

/// Whether the sender accepts trailers after the response (RFC 9110, section 10.1.4). gRPC depends on them.
pub fn accepts_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).into_iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

static CONNECTION_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_accepted_only_if_te_says_so() {
        for (te, expected) in [
            ("trailers", true),
            ("deflate;q=0.5, Trailers", true),
            ("gzip", false),
            ("x-trailers", false),
        ] {
            let headers = HeaderMap::from_iter([(header::TE, te.parse().unwrap())]);
            assert_eq!(accepts_trailers(&headers), expected, "{te}");
        }
        assert!(!accepts_trailers(&HeaderMap::new()));
    }

    #[test]
    fn hop_by_hop_headers_are_removed_and_others_are_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Drop"),
            ("connection", " x-DROP-too ,,@"),
            ("connection", "host"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("x-drop", "1"),
            ("x-drop-too", "1"),
            ("host", "a.example"),
            ("x-keep", "1"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        remove(&mut headers);
        let mut left = headers.keys().map(HeaderName::as_str).collect::<Vec<_>>();
        left.sort_unstable();
        assert_eq!(left, ["host", "x-keep"]);
    }
}
