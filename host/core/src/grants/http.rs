//! The grant for one server: scheme, host, port and a path prefix. It is parsed once and then compared with each
//! request.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use super::host::Host;

/// A server to which an authenticator may send requests: `https://idp.example`, `http://127.0.0.1:8081/hub/api`,
/// `https://*.example.com:8443`.
///
/// `*.` stands for one or more labels. A path covers itself and all paths below it. It never covers a path with dot
/// segments, backslashes, or encoded slashes, dots or NUL bytes, because servers may resolve those differently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpGrant {
    https: bool,
    host: Host,
    port: u16,
    path: String,
}

impl HttpGrant {
    /// Whether this grant covers everything that the other grant covers.
    pub fn includes(&self, other: &Self) -> bool {
        let path = if other.path.is_empty() { "/" } else { &other.path };
        self.https == other.https && self.port == other.port && self.host.includes(&other.host) && self.covers(path)
    }

    /// Whether it covers several hosts, such as `https://*.example.com`.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host, Host::Below(_))
    }

    /// Whether its host is `localhost` or a name below it (RFC 6761, section 6.3). Such a grant has no effect without
    /// [`Grants::private`](super::Grants::private).
    pub fn is_localhost(&self) -> bool {
        self.host.is_localhost()
    }

    /// Whether it covers a request to this URI.
    pub fn permits(&self, uri: &Uri) -> bool {
        let (Some(https), Some(host)) = (https(uri), uri.host()) else {
            return false;
        };
        https == self.https && port(uri) == Some(self.port) && self.host.permits(host) && self.covers(uri.path())
    }

    /// Whether it covers a part of what is below this URI.
    pub(crate) fn is_below(&self, uri: &Uri) -> bool {
        let above = Self {
            path: uri.path().trim_end_matches('/').to_owned(),
            ..self.clone()
        };
        above.permits(uri) && above.includes(self)
    }

    /// The length of its path, in bytes. Of two grants for the same request, the longer path is the more specific one.
    pub(crate) fn path_length(&self) -> usize {
        self.path.len()
    }

    fn covers(&self, path: &str) -> bool {
        if self.path.is_empty() {
            return true;
        }
        !ambiguous(path)
            && path
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The port of a URI, or the default port of its scheme.
pub(crate) fn port(uri: &Uri) -> Option<u16> {
    let default = if https(uri)? { 443 } else { 80 };
    Some(uri.port_u16().unwrap_or(default))
}

/// Whether a server could resolve the path to another one: it has dot segments, with or without parameters (`..;`), or
/// slashes, backslashes, dots or NUL bytes that are percent-encoded once or twice.
fn ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower
        .split('/')
        .any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
        || lower.contains('\\')
        || ["2e", "2f", "5c", "00"].iter().any(|code| {
            [format!("%{code}"), format!("%25{code}")]
                .iter()
                .any(|spelling| lower.contains(spelling))
        })
}

fn https(uri: &Uri) -> Option<bool> {
    match uri.scheme_str()? {
        "http" => Some(false),
        "https" => Some(true),
        _ => None,
    }
}

impl FromStr for HttpGrant {
    type Err = HttpGrantError;

    fn from_str(text: &str) -> Result<Self, HttpGrantError> {
        let uri: Uri = text.parse().map_err(|_| HttpGrantError("it is not a URL"))?;
        let https = https(&uri).ok_or(HttpGrantError("it starts with neither http:// nor https://"))?;
        let authority = uri.authority().ok_or(HttpGrantError("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(HttpGrantError("it has a user name"));
        }
        if uri.query().is_some() {
            return Err(HttpGrantError("it has a query"));
        }
        if uri.path().contains('*') {
            return Err(HttpGrantError(
                "its path has a `*`, but a path covers everything below it",
            ));
        }
        if ambiguous(uri.path()) {
            return Err(HttpGrantError(
                "its path has dot segments, or slashes or dots that are encoded",
            ));
        }
        let host = Host::parse(authority.host()).map_err(HttpGrantError)?;
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if authority.as_str().ends_with(authority.host()) => {
                if https {
                    443
                } else {
                    80
                }
            }
            _ => return Err(HttpGrantError("its port is not a number from 1 to 65535")),
        };
        Ok(Self {
            https,
            host,
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Why a text is not an [`HttpGrant`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HttpGrantError(&'static str);

impl HttpGrantError {
    /// What is wrong, without an example of what would be right.
    pub(super) const fn reason(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for HttpGrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; expected a server such as https://idp.example or http://127.0.0.1:8081/api",
            self.0
        )
    }
}

impl std::error::Error for HttpGrantError {}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "http://127.0.0.1:8081/hub/api";

    #[test]
    fn a_grant_covers_its_server_only() {
        for (grant, url, permitted) in [
            ("https://idp.example", "https://idp.example/keys?x=1", true),
            ("https://idp.example", "https://IDP.example.:443/keys", true),
            ("https://idp.example", "http://idp.example/", false),
            ("https://idp.example", "https://idp.example:8443/", false),
            ("https://idp.example", "https://idp.example.evil/", false),
            ("https://idp.example", "https://x.idp.example/", false),
            ("https://*.example.com", "https://a.b.example.com/", true),
            ("https://*.example.com", "https://example.com/", false),
            ("https://*.example.com", "https://evilexample.com/", false),
            (API, "http://127.0.0.1:8081/hub/api/user", true),
            ("http://127.0.0.1:8081/hub/api/", "http://127.0.0.1:8081/hub/api", true),
            (API, "http://127.0.0.1:8081/hub/apiary", false),
            (API, "http://127.0.0.1:8081/hub/api/../token", false),
            (API, "http://127.0.0.1:8081/hub/api/..;x/token", false),
            (API, "http://127.0.0.1:8081/hub/api/%2e%2e/token", false),
            (API, "http://127.0.0.1:8081/hub/api/%252E%252e/token", false),
            (API, "http://127.0.0.1:8081/hub/api/..%2ftoken", false),
            (API, "http://127.0.0.1:8081/hub/api%00/token", false),
            ("http://127.0.0.1/a%20b", "http://127.0.0.1/a%20b/user", true),
            ("http://[::1]:80", "http://[::1]/", true),
            ("http://[::1]", "http://[0:0:0:0:0:0:0:1]/", true),
            ("http://[0::1]", "http://[::1]/", true),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/", false),
            ("http://127.0.0.1", "http://127.0.0.1./", false),
            ("http://127.0.0.1", "http://127.1/", false),
            ("http://127.0.0.1", "http://2130706433/", false),
            ("http://127.0.0.1", "http://0x7f.1/", false),
            ("http://127.0.0.1", "http://0177.0.0.1/", false),
        ] {
            let parsed: HttpGrant = grant.parse().unwrap();
            assert_eq!(parsed.permits(&url.parse().unwrap()), permitted, "{grant} {url}");
        }
    }

    #[test]
    fn a_text_that_names_no_server_is_refused() {
        for text in [
            "",
            "idp.example",
            "ftp://idp",
            "https://",
            "https://*",
            "https://*.",
            "https://*..",
            "https://*example.com",
            "https://a.*.b",
            "http://.",
            "http://:80",
            "https://u@h",
            "http://h:0x",
            "http://h:0",
            "http://h?q",
            "http://h/a/../b",
            "http://h/%2e%2e/b",
            "http://2130706433",
            "http://0x7f000001",
            "http://0x7f.0.0.0x1",
            "http://127.1",
            "http://127.0.0.1.",
            "http://0177.0.0.1",
            "http://[::1%25eth0]",
            "http://[fe80::1%eth0]",
            "http://[::1",
            "http://x[::1]",
            "http://-[::1]:840",
            "http://[x]",
            "http://%68",
        ] {
            assert!(text.parse::<HttpGrant>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_grant_is_parsed_from_its_own_text() {
        for text in ["https://*.example.com:8443/a", "http://[::1]:80", "http://10.0.0.1:80"] {
            assert_eq!(text.parse::<HttpGrant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_grant_includes_narrower_grants() {
        for (outer, inner, included) in [
            ("https://idp", "https://idp:443", true),
            ("https://idp", "https://idp/oauth", true),
            ("https://idp/oauth", "https://idp/oauth/token", true),
            ("https://idp/oauth", "https://idp", false),
            ("https://idp/oauth", "https://idp/oauth2", false),
            ("https://idp", "http://idp:443", false),
            ("https://idp", "https://idp:8443", false),
            ("https://*.a", "https://idp.a", true),
            ("https://*.a", "https://*.a", true),
            ("https://*.a", "https://a", false),
            ("https://idp.a", "https://*.a", false),
            ("http://10.0.0.1", "http://10.0.0.2", false),
        ] {
            let [outer, inner] = [outer, inner].map(|text| text.parse::<HttpGrant>().unwrap());
            assert_eq!(outer.includes(&inner), included, "{outer} {inner}");
        }
    }

    #[test]
    fn names_of_the_loopback_interface_are_recognised() {
        for (text, localhost) in [
            ("http://localhost", true),
            ("http://LocalHost.:8000", true),
            ("http://app.localhost", true),
            ("http://*.localhost", true),
            ("http://*.app.localhost", true),
            ("http://*.nolocalhost", false),
            ("http://nolocalhost", false),
            ("http://127.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(text.parse::<HttpGrant>().unwrap().is_localhost(), localhost, "{text}");
        }
    }
}
