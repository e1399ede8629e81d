//! What a request asks for: host, path and query, from the request line and `Host` (RFC 9112, section 3.2). Where the
//! two could be read differently, the request is refused.

use std::fmt;

use http::HeaderMap;
use http::Method;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use http::uri::Scheme;

use crate::serve::answer;
use crate::serve::answer::Body;
use crate::serve::framing::Doubt;
use crate::serve::path::CanonicalPath;

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Target {
    /// Host and port as sent; none: an HTTP/1.0 request without `Host`, or an empty `Host`.
    pub(crate) authority: Option<String>,
    /// The path.
    pub(crate) path: CanonicalPath,
    /// The query as sent, without the question mark.
    pub(crate) query: Option<String>,
}

impl Target {
    /// Reads the head of a request. HTTP/2 gives the authority a place in the request line.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Unserved> {
        if let Some(Doubt(why)) = parts.extensions.get() {
            return Err(Unserved::malformed(why));
        }
        if parts.method == Method::CONNECT || parts.method == Method::TRACE {
            return Err(Unserved::Method);
        }
        let scheme = parts.uri.scheme();
        if scheme.is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
            return Err(Unserved::malformed(
                "the request line names a scheme other than http and https",
            ));
        }
        Ok(Self {
            authority: authority(parts)?,
            path: CanonicalPath::parse_with_encoded_slashes(parts.uri.path()).map_err(Unserved::malformed)?,
            query: parts.uri.query().map(str::to_owned),
        })
    }
}

/// Why a request is not served, whoever sent it.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// 400, and what is wrong.
    Malformed(String),
    /// 405: `CONNECT` would open a tunnel, and `TRACE` echoes the headers that the gateway adds.
    Method,
    /// 404: no route leads to it.
    Route,
}

impl Unserved {
    /// A request that says two things, or nothing.
    pub(crate) fn malformed(why: impl fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }

    /// What the client gets.
    pub(crate) fn answer(&self) -> Response<Body> {
        match self {
            Self::Malformed(_) => answer::error(StatusCode::BAD_REQUEST, &self.to_string()),
            Self::Method => answer::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            Self::Route => answer::error(StatusCode::NOT_FOUND, "Not found"),
        }
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => f.write_str(why),
            Self::Method => f.write_str("the method is not served"),
            Self::Route => f.write_str("no route leads to the path"),
        }
    }
}

fn authority(parts: &Parts) -> Result<Option<String>, Unserved> {
    let host = host(&parts.headers)?;
    if parts.version == Version::HTTP_11 && host.is_none() {
        return Err(Unserved::malformed("the request has no Host header"));
    }
    let line = parts.uri.authority().map(Authority::as_str);
    if let (Some(line), Some(host)) = (line, host)
        && !line.eq_ignore_ascii_case(host)
    {
        return Err(Unserved::malformed("the Host header differs from the request line"));
    }
    match line.or(host) {
        None | Some("") => Ok(None),
        Some(authority) if is_host_and_port(authority) => Ok(Some(authority.to_owned())),
        Some(_) => Err(Unserved::malformed(
            "the Host header is no host name with an optional port",
        )),
    }
}

fn host(headers: &HeaderMap) -> Result<Option<&str>, Unserved> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unserved::malformed("the request has several Host headers"));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Unserved::malformed("the Host header is not plain ASCII"))
}

/// RFC 3986, section 3.2, without user information, and without the percent-encoding that no client uses in a host.
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
    use super::*;

    fn target(uri: &str, version: Version, hosts: &[&str]) -> Result<Target, Unserved> {
        let mut request = http::Request::builder().uri(uri).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        Target::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn host_and_path_come_from_every_form_of_request_line() {
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
        ] {
            let target = target(uri, version, hosts).unwrap();
            assert_eq!(target.authority.as_deref(), authority, "{uri} {hosts:?}");
            assert_eq!((target.path.as_str(), target.query.as_deref()), ("/a", Some("b=c")));
        }
    }

    #[test]
    fn a_request_without_one_host_is_malformed() {
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
            ("/", Version::HTTP_11, &["[::1"]),
            ("/", Version::HTTP_11, &["%61.example"]),
            ("/", Version::HTTP_11, &[":80"]),
            ("ftp://a.example/", Version::HTTP_11, &["a.example"]),
            ("*", Version::HTTP_11, &["a.example"]),
            ("/a/../b", Version::HTTP_11, &["a.example"]),
        ] {
            let refused = target(uri, version, hosts);
            assert!(
                matches!(refused, Err(Unserved::Malformed(_))),
                "{uri} {hosts:?} {refused:?}"
            );
        }
    }

    #[test]
    fn methods_that_a_proxy_of_credentials_must_not_serve_are_refused() {
        for method in [Method::CONNECT, Method::TRACE] {
            let request = http::Request::builder()
                .method(method)
                .uri("a.example:80")
                .body(())
                .unwrap();
            assert!(matches!(Target::of(&request.into_parts().0), Err(Unserved::Method)));
        }
    }
}
