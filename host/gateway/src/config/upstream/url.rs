//! Parses the URL of a server: `http://HOST[:PORT][/BASE]`, `https://HOST[:PORT][/BASE]`, or `unix:/PATH` for a Unix socket.
//! Error messages don't contain the URL.

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use http::uri::Authority;
use rustls::pki_types::ServerName;

use crate::routing::literal;

/// The address of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Address {
    /// A host and port.
    Tcp(Authority),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => authority.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// The URL of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Url {
    pub(super) address: Address,
    pub(super) is_https: bool,
    /// Prepended to the path of a request. It is empty, or starts with a slash and doesn't end with one.
    pub(super) base: String,
}

impl Url {
    /// The error doesn't contain the URL, because a URL may contain a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            if !path.starts_with('/') || path.contains(char::is_control) {
                return Err("needs the absolute path of a socket, such as \"unix:/run/app.sock\"".to_owned());
            }
            return Ok(Self {
                address: Address::Unix(path.into()),
                is_https: false,
                base: String::new(),
            });
        }
        let uri = text
            .parse::<Uri>()
            .map_err(|error| format!("not a URL, such as \"http://127.0.0.1:8001\": {error}"))?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("must start with http://, https:// or unix:/".to_owned()),
        };
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty())
            .ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("contains credentials; to send a password, set identity.basic_password".to_owned());
        }
        if text.contains(['?', '#']) {
            return Err("must have no query and no fragment".to_owned());
        }
        if let Err(pattern) = literal::check(uri.path()) {
            return Err(format!("{pattern}; the path is put in front of the request's path"));
        }
        Ok(Self {
            address: Address::Tcp(authority.clone()),
            is_https,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The name for which the server's certificate must be valid. `None` if no certificate can be valid for the host.
    pub(super) fn tls_name(&self) -> Option<ServerName<'static>> {
        let Address::Tcp(authority) = &self.address else {
            return None;
        };
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        ServerName::try_from(address.unwrap_or(host).to_owned()).ok()
    }
}

const UNIX: &str = "unix:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_parsed_into_an_address_and_a_base() {
        for (text, address, is_https, base) in [
            ("http://127.0.0.1:8001", "127.0.0.1:8001", false, ""),
            ("http://hub:8000/", "hub:8000", false, ""),
            ("https://hub", "hub", true, ""),
            ("https://[::1]:80/a/b/", "[::1]:80", true, "/a/b"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock", false, ""),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.address.to_string().as_str(), url.is_https, url.base.as_str()),
                (address, is_https, base)
            );
        }
    }

    #[test]
    fn an_invalid_url_is_rejected_and_never_repeated() {
        for text in [
            "",
            "127.0.0.1:8001",
            "/path",
            "http://",
            "http:///path",
            "http://:80",
            "ftp://secret",
            "http://user:secret@host",
            "https://host/?secret=1",
            "http://host/#secret",
            "portcullis:other",
            "unix:",
            "unix:secret.sock",
            "unix:/secret\n",
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn the_certificate_must_be_valid_for_the_host_of_the_url() {
        for (text, name) in [
            ("https://hub.example:8443", Some("hub.example")),
            ("https://127.0.0.1", Some("127.0.0.1")),
            ("https://[::1]:8443", Some("::1")),
            ("https://a_b:8443", Some("a_b")),
            ("https://a..b", None),
            ("unix:/run/app.sock", None),
        ] {
            let found = Url::parse(text).unwrap().tls_name();
            assert_eq!(found.map(|name| name.to_str().into_owned()).as_deref(), name, "{text}");
        }
    }
}
