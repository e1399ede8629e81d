//! Absolute URLs, as far as sending a request and staying with the same server need them. The gateway reads them again
//! and decides; this only refuses what can't be meant.

/// Scheme, authority, and path with query of an `http` or `https` URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    pub(crate) authority: String,
    pub(crate) path_and_query: String,
}

impl Url {
    /// Reads an absolute URL and drops its fragment. None without a host, with a user name, or with characters that no
    /// URL has.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let sound =
            !authority.is_empty() && !authority.contains('@') && url.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| Self {
            https,
            authority: authority.to_owned(),
            path_and_query: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// Where a `Location` leads, if that is the same server: an absolute URL, or an absolute path. A path relative to
    /// this one, which servers of APIs don't send, leads nowhere.
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

    /// RFC 6454, section 4: scheme, host and port, the port of the scheme when none is written.
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
    fn a_url_is_taken_apart() {
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
    fn what_cannot_be_meant_is_no_url() {
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
