//! A grant to ask one server: scheme, host, port and the start of the path. It is read once and then only compared.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;

/// A server that an authenticator may ask: `https://idp.example`, `http://127.0.0.1:8081/hub/api`,
/// `https://*.example.com:8443`.
///
/// `*.` stands for one or more labels. A path grants itself and what is below it; a request whose path has dot segments
/// or encoded slashes is below nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpGrant {
    https: bool,
    host: Host,
    port: u16,
    path: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Host {
    Exact(String),
    Below(String),
}

impl HttpGrant {
    /// Whether a request to this URI is within the grant.
    pub(crate) fn permits(&self, uri: &Uri) -> bool {
        let Some(https) = https(uri) else { return false };
        let Some(host) = uri.host().map(normalized) else {
            return false;
        };
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let host = match &self.host {
            Host::Exact(granted) => host == *granted,
            Host::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| !label.is_empty()),
        };
        https == self.https && host && port == self.port && self.covers(uri.path())
    }

    /// Whether the operator wrote the server's address itself, and so means it even where it is a special one.
    pub(crate) fn names_address(&self, host: &str) -> bool {
        matches!(&self.host, Host::Exact(granted) if *granted == normalized(host))
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

/// Whether a server could read the path as another one: dot segments, and slashes or dots that are encoded.
fn ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.split('/').any(|segment| matches!(segment, "." | ".."))
        || ["%2e", "%2f", "%5c", "\\"]
            .iter()
            .any(|spelling| lower.contains(spelling))
}

fn https(uri: &Uri) -> Option<bool> {
    match uri.scheme_str()? {
        "http" => Some(false),
        "https" => Some(true),
        _ => None,
    }
}

/// Names are compared without case and without the root's dot (RFC 9110, section 4.2.3; RFC 1034, section 3.1).
fn normalized(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether this is all of a host. `Uri` finds one in `x[::1]`, which no server has.
fn is_name_or_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte)),
    }
}

impl FromStr for HttpGrant {
    type Err = HttpGrantError;

    fn from_str(text: &str) -> Result<Self, HttpGrantError> {
        let uri: Uri = text.parse().map_err(|_| HttpGrantError("it is no URL"))?;
        let https = https(&uri).ok_or(HttpGrantError("it starts with neither http:// nor https://"))?;
        let authority = uri.authority().ok_or(HttpGrantError("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(HttpGrantError("it has a user name"));
        }
        if uri.query().is_some() {
            return Err(HttpGrantError("it has a query"));
        }
        let host = normalized(authority.host());
        if !is_name_or_address(host.strip_prefix('*').unwrap_or(&host)) {
            return Err(HttpGrantError("its host is neither a name nor an address"));
        }
        let host = match host.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*') => {
                Host::Below(suffix.to_owned())
            }
            Some(_) => {
                return Err(HttpGrantError(
                    "`*` stands for a host's first labels only: *.example.com",
                ));
            }
            None if host.is_empty() || host.contains('*') => return Err(HttpGrantError("it names no host")),
            None => Host::Exact(host),
        };
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str().ends_with(authority.host()) => {
                if https {
                    443
                } else {
                    80
                }
            }
            None => return Err(HttpGrantError("its port is no number from 1 to 65535")),
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
        let (wildcard, host) = match &self.host {
            Host::Exact(host) => ("", host),
            Host::Below(suffix) => ("*", suffix),
        };
        write!(f, "{scheme}://{wildcard}{host}:{}{}", self.port, self.path)
    }
}

/// Why a text is no grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HttpGrantError(&'static str);

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

    #[test]
    fn a_grant_permits_its_server_and_no_other() {
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
            (
                "http://127.0.0.1:8081/hub/api",
                "http://127.0.0.1:8081/hub/api/user",
                true,
            ),
            ("http://127.0.0.1:8081/hub/api/", "http://127.0.0.1:8081/hub/api", true),
            (
                "http://127.0.0.1:8081/hub/api",
                "http://127.0.0.1:8081/hub/apiary",
                false,
            ),
            (
                "http://127.0.0.1:8081/hub/api",
                "http://127.0.0.1:8081/hub/api/../token",
                false,
            ),
            (
                "http://127.0.0.1:8081/hub/api",
                "http://127.0.0.1:8081/hub/api/%2e%2e/token",
                false,
            ),
            ("http://127.0.0.1/a%20b", "http://127.0.0.1/a%20b/user", true),
            ("http://[::1]:80", "http://[::1]/", true),
        ] {
            let parsed: HttpGrant = grant.parse().unwrap();
            assert_eq!(parsed.permits(&url.parse().unwrap()), permitted, "{grant} {url}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "idp.example",
            "ftp://idp",
            "https://",
            "https://*",
            "https://a.*.b",
            "https://u@h",
            "http://h:0x",
            "http://h?q",
            "http://x[::1]",
            "http://-[::1]:840",
            "http://[x]",
            "http://%68",
        ] {
            assert!(text.parse::<HttpGrant>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_grant_reads_back_as_it_is_shown() {
        for text in ["https://*.example.com:8443/a", "http://[::1]:80"] {
            assert_eq!(text.parse::<HttpGrant>().unwrap().to_string(), text);
        }
    }
}
