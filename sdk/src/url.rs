//! Absolute URLs, parsed as far as sending a request and following a redirect to the same server require. The gateway
//! parses them again and decides; this module only rejects what can't be a URL.

/// Scheme, authority, and path with query of an `http` or `https` URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    pub(crate) authority: String,
    pub(crate) path_and_query: String,
}

impl Url {
    /// Parses an absolute URL and drops its fragment. Returns `None` if it has no host, has a user name, or contains
    /// characters that no URL may contain.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let valid =
            !authority.is_empty() && !authority.contains('@') && url.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self {
            https,
            authority: authority.to_owned(),
            path_and_query: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// The target of a `Location` header, if it is on the same server. Absolute URLs and absolute paths are supported.
    /// Relative paths, which API servers don't send, return `None`.
    pub(crate) fn same_origin_location(&self, location: &str) -> Option<Self> {
        let absolute = match location {
            path if path.starts_with('/') && !path.starts_with("//") => format!("{}{path}", self.origin_prefix()),
            other => other.to_owned(),
        };
        Self::parse(&absolute).filter(|target| target.origin() == self.origin())
    }

    fn origin_prefix(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// The origin (RFC 6454, section 4): scheme, host and port. A missing port is the default of the scheme.
    fn origin(&self) -> (bool, String, String) {
        let written = self
            .authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let (host, port) = written.unwrap_or((&self.authority, ""));
        let port = match port {
            "" if self.https => "443",
            "" => "80",
            port => port,
        };
        (self.https, host.to_ascii_lowercase(), port.to_owned())
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin_prefix(), self.path_and_query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_its_parts() {
        let cases = [
            ("http://h/a?b", "http://h/a?b"),
            ("HTTPS://H:8443", "https://H:8443/"),
            ("http://h?b#c", "http://h/?b"),
            ("http://[::1]:80/a", "http://[::1]:80/a"),
        ];
        for (url, expected) in cases {
            assert_eq!(
                Url::parse(url).map(|url| url.to_string()).as_deref(),
                Some(expected),
                "{url}"
            );
        }
    }

    #[test]
    fn malformed_urls_are_rejected() {
        for url in [
            "",
            "h/a",
            "ftp://h/",
            "http://",
            "http:///a",
            "http://u:p@h/",
            "http://h/a b",
            "http://h/\r\nX: y",
            "//h/",
        ] {
            assert_eq!(Url::parse(url), None, "{url}");
        }
    }

    #[test]
    fn only_a_location_on_the_same_server_is_followed() {
        let base = Url::parse("http://Hub:80/api").unwrap();
        let cases = [
            ("/hub/api", Some("http://Hub:80/hub/api")),
            ("http://hub/x", Some("http://hub/x")),
            ("http://HUB:80/x?y", Some("http://HUB:80/x?y")),
            ("https://hub:80/x", None),
            ("http://hub:81/x", None),
            ("http://hub.evil/x", None),
            ("http://hub@evil/x", None),
            ("//evil/x", None),
            ("/\\evil", Some("http://Hub:80/\\evil")),
            ("x", None),
            ("", None),
        ];
        for (location, expected) in cases {
            let target = base.same_origin_location(location).map(|url| url.to_string());
            assert_eq!(target.as_deref(), expected, "{location}");
        }
    }
}
