//! Where a route's requests go.

use std::fmt;

use http::Uri;
use http::uri::Authority;

/// Where a route's requests go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Upstream {
    /// An HTTP server.
    Http {
        /// Its host and port.
        authority: Authority,
        /// Prepended to the request's path; empty, or starts with a slash and doesn't end with one.
        base: String,
    },
    /// The built-in page that shows who you are.
    WhoAmI,
}

impl Upstream {
    /// Reads `http://HOST[:PORT][/BASE]` or `portcullis:whoami`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == WHO_AM_I {
            return Ok(Self::WhoAmI);
        }
        // A URL may have a password in it, so no error repeats it.
        let uri = text
            .parse::<Uri>()
            .map_err(|error| format!("not a URL, such as \"http://127.0.0.1:8001\": {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("https upstreams are not served by this version; use http".to_owned()),
            _ => return Err("must start with http://, or be \"portcullis:whoami\"".to_owned()),
        }
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty())
            .ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("has credentials in it; for a password, see identity.basic_password".to_owned());
        }
        if text.contains(['?', '#']) {
            return Err("must have no query and no fragment".to_owned());
        }
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self::Http {
            authority: authority.clone(),
            base,
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { authority, base } => write!(f, "http://{authority}{base}"),
            Self::WhoAmI => f.write_str(WHO_AM_I),
        }
    }
}

const WHO_AM_I: &str = "portcullis:whoami";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_an_authority_and_a_base() {
        for (text, authority, base) in [
            ("http://127.0.0.1:8001", "127.0.0.1:8001", ""),
            ("http://hub:8000/", "hub:8000", ""),
            ("http://[::1]:80/a/b/", "[::1]:80", "/a/b"),
        ] {
            let expected = Upstream::Http {
                authority: authority.parse().unwrap(),
                base: base.to_owned(),
            };
            assert_eq!(expected.to_string().trim_end_matches('/'), text.trim_end_matches('/'));
            assert_eq!(Upstream::parse(text), Ok(expected));
        }
        assert_eq!(Upstream::parse("portcullis:whoami"), Ok(Upstream::WhoAmI));
    }

    #[test]
    fn anything_else_is_refused_and_never_repeated() {
        for text in [
            "",
            "127.0.0.1:8001",
            "/path",
            "http://",
            "http:///path",
            "http://:80",
            "https://secret",
            "ftp://secret",
            "http://user:secret@host",
            "http://host/?secret=1",
            "http://host/#secret",
            "portcullis:other",
        ] {
            let error = Upstream::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }
}
