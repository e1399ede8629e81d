//! The target of a request: host, path and query, from the request line and `Host` (RFC 9112, section 3.2). An
//! ambiguous target is rejected.

use http::HeaderMap;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use http::uri::PathAndQuery;
use http::uri::Scheme;
use portcullis_wire::framing::AmbiguousFraming;
use portcullis_wire::path::CanonicalPath;

use crate::pipeline::rejection::Rejection;
use crate::routing::is_served;

/// The target of a request.
#[derive(Debug)]
pub(crate) struct Target {
    /// Host and port as sent. `None` for an empty `Host`, and for an HTTP/1.0 request without `Host`.
    pub(crate) authority: Option<String>,
    /// The path.
    pub(crate) path: CanonicalPath,
    /// The query as sent, without the question mark.
    pub(crate) query: Option<String>,
}

impl Target {
    /// Reads the target from the head of a request.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Rejection> {
        reject_ambiguous(parts)?;
        if !is_served(&parts.method) {
            return Err(Rejection::Method);
        }
        let scheme = parts.uri.scheme();
        if scheme.is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
            return Err(Rejection::malformed(
                "the request line names a scheme other than http and https",
            ));
        }
        Ok(Self {
            authority: authority(parts)?,
            path: CanonicalPath::of_request(parts.uri.path()).map_err(Rejection::malformed)?,
            query: parts.uri.query().map(str::to_owned),
        })
    }

    /// Reads the target that a front asks about: the authority, and the path with the query as in the request line.
    ///
    /// The authority is required, also for HTTP/1.0: the front forwards a request without it to a host of its choice, and
    /// here the request would match only routes for every host.
    pub(crate) fn from_front(authority: &str, path_and_query: &str) -> Result<Self, Rejection> {
        if !is_host_and_port(authority) {
            return Err(Rejection::malformed("the front sends no valid host"));
        }
        // Some programs end the query at a `#`, and others don't (GHSA-pxq7-h93f-9jrg).
        let parsed = PathAndQuery::try_from(path_and_query).ok();
        let Some(parsed) = parsed.filter(|_| path_and_query.starts_with('/') && !path_and_query.contains('#')) else {
            return Err(Rejection::malformed(
                "the path or the query has a character that must be percent-encoded",
            ));
        };
        Ok(Self {
            authority: Some(authority.to_owned()),
            path: CanonicalPath::of_request(parsed.path()).map_err(Rejection::malformed)?,
            query: parsed.query().map(str::to_owned),
        })
    }
}

/// Rejects a request whose head or end two programs could read differently, which the connection has noticed.
pub(crate) fn reject_ambiguous(parts: &Parts) -> Result<(), Rejection> {
    match parts.extensions.get() {
        Some(AmbiguousFraming(why)) => Err(Rejection::malformed(why)),
        None => Ok(()),
    }
}

/// The authority of a request. `None` for an empty `Host`, and for an HTTP/1.0 request without `Host`.
pub(crate) fn authority(parts: &Parts) -> Result<Option<String>, Rejection> {
    let host = host(&parts.headers)?;
    if parts.version == Version::HTTP_11 && host.is_none() {
        return Err(Rejection::malformed("the request has no Host header"));
    }
    let line = parts.uri.authority().map(Authority::as_str);
    if let (Some(line), Some(host)) = (line, host)
        && !line.eq_ignore_ascii_case(host)
    {
        return Err(Rejection::malformed("the Host header differs from the request line"));
    }
    match line.or(host) {
        None | Some("") => Ok(None),
        Some(authority) if is_host_and_port(authority) => Ok(Some(authority.to_owned())),
        Some(_) => Err(Rejection::malformed(
            "the Host header is not a host name with an optional port",
        )),
    }
}

fn host(headers: &HeaderMap) -> Result<Option<&str>, Rejection> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Rejection::malformed("the request has several Host headers"));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Rejection::malformed("the Host header is not plain ASCII"))
}

/// RFC 3986, section 3.2, but without user information and percent-encoding, which no client uses in a host.
fn is_host_and_port(authority: &str) -> bool {
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']').map(|end| end + 2),
        None => Some(authority.find(':').unwrap_or(authority.len())),
    };
    let Some((host, port)) = end.and_then(|end| authority.split_at_checked(end)) else {
        return false;
    };
    let is_address = |host: &str| host.bytes().all(|b| b.is_ascii_hexdigit() || b":.[]".contains(&b));
    let is_name = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    !host.is_empty()
        && (if host.starts_with('[') {
            is_address(host)
        } else {
            is_name(host)
        })
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn target(uri: &str, version: Version, hosts: &[&str]) -> Result<Target, Rejection> {
        let mut request = http::Request::builder().uri(uri).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        Target::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn every_form_of_request_line_has_a_host_and_a_path() {
        for (uri, version, hosts, authority) in [
            (
                "/a?b=c",
                Version::HTTP_11,
                &["app.example:8000"][..],
                Some("app.example:8000"),
            ),
            (
                "http://app.example/a?b=c",
                Version::HTTP_11,
                &["App.Example"],
                Some("app.example"),
            ),
            ("https://app.example/a?b=c", Version::HTTP_2, &[], Some("app.example")),
            ("/a?b=c", Version::HTTP_10, &[], None),
            ("/a?b=c", Version::HTTP_11, &[""], None),
            ("/a?b=c", Version::HTTP_11, &["[::1]:80"], Some("[::1]:80")),
            ("/a?b=c", Version::HTTP_11, &["127.0.0.1"], Some("127.0.0.1")),
            ("/a?b=c", Version::HTTP_11, &["a_b-c.d:65535"], Some("a_b-c.d:65535")),
        ] {
            let target = target(uri, version, hosts).unwrap();
            assert_eq!(target.authority.as_deref(), authority, "{uri} {hosts:?}");
            assert_eq!((target.path.as_str(), target.query.as_deref()), ("/a", Some("b=c")));
        }
    }

    #[test]
    #[rustfmt::skip]
    fn the_target_that_a_front_sends_is_checked_like_a_request_line() {
        let target = Target::from_front("App.example:8000", "/a/%62?b=%zz?c").unwrap();
        assert_eq!(target.authority.as_deref(), Some("App.example:8000"));
        assert_eq!((target.path.as_str(), target.query.as_deref()), ("/a/%62", Some("b=%zz?c")));
        for (authority, path) in [
            ("", "/"), ("a.example/x", "/"), ("user@a.example", "/"), ("a.example,b.example", "/"), ("a b", "/"),
            ("a.example", ""), ("a.example", "*"), ("a.example", "a"), ("a.example", "http://a.example/"),
            ("a.example", "/a#b"), ("a.example", "/a?b#c"), ("a.example", "/a?b c"), ("a.example", "/a?b\tc"), ("a.example", "?a"),
        ] {
            assert!(matches!(Target::from_front(authority, path), Err(Rejection::Malformed(_))), "{authority} {path}");
        }
    }

    #[test]
    fn a_request_must_have_exactly_one_valid_host() {
        for (uri, version, hosts) in [
            ("/", Version::HTTP_11, &[][..]),
            ("/", Version::HTTP_11, &["a.example", "a.example"]),
            ("http://a.example/", Version::HTTP_11, &["b.example"]),
            ("http://a.example/", Version::HTTP_2, &["b.example"]),
            ("http://a.example:80/", Version::HTTP_11, &["a.example"]),
            ("http://user@a.example/", Version::HTTP_11, &["user@a.example"]),
            ("/", Version::HTTP_11, &["user@a.example"]),
            ("/", Version::HTTP_11, &["a.example/x"]),
            ("/", Version::HTTP_11, &["a.example b.example"]),
            ("/", Version::HTTP_11, &["a.example,b.example"]),
            ("/", Version::HTTP_11, &["a:b:80"]),
            ("/", Version::HTTP_11, &["a.example:http"]),
            ("/", Version::HTTP_11, &["a.example:123456"]),
            ("/", Version::HTTP_11, &["[::g]"]),
            ("/", Version::HTTP_11, &["[::1]x"]),
            ("/", Version::HTTP_11, &["[::1"]),
            ("/", Version::HTTP_11, &["%61.example"]),
            ("/", Version::HTTP_11, &[":80"]),
            ("ftp://a.example/", Version::HTTP_11, &["a.example"]),
            ("*", Version::HTTP_11, &["a.example"]),
        ] {
            let refused = target(uri, version, hosts);
            assert!(
                matches!(refused, Err(Rejection::Malformed(_))),
                "{uri} {hosts:?} {refused:?}"
            );
        }
    }

    #[test]
    fn connect_and_trace_are_rejected() {
        for method in [Method::CONNECT, Method::TRACE] {
            let request = http::Request::builder()
                .method(method)
                .uri("a.example:80")
                .body(())
                .unwrap();
            assert!(matches!(Target::of(&request.into_parts().0), Err(Rejection::Method)));
        }
    }
}
