//! A grant to send a browser somewhere: to everything below a path of a server. A browser reads some URLs in another way than a
//! program does, so what both could read differently is not covered.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use super::http::HttpGrant;
use super::http::HttpGrantError;

/// A place to which a login may send a browser: `https://idp.example` or `https://idp.example/oauth2/authorize`. A path covers
/// everything below it, and `*.` all names below a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginGrant(HttpGrant);

impl LoginGrant {
    /// Whether this covers a URL for a `Location` field. A URL is never covered if it isn't absolute, has a user name or a
    /// fragment, or has characters that browsers drop or replace, such as a tab or a backslash (WHATWG URL, section 4.4).
    pub fn permits(&self, url: &str) -> bool {
        let is_plain = url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#'));
        let uri = url.parse::<Uri>().ok().filter(|_| is_plain);
        uri.is_some_and(|uri| self.covers(&uri))
    }

    fn covers(&self, uri: &Uri) -> bool {
        let has_user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        !has_user && self.0.permits(uri)
    }

    /// Whether a URL that a setting names, or a grant that a manifest names, overlaps with this.
    pub(super) fn serves(&self, asked: &str) -> bool {
        super::asked::serves(&self.0, asked)
    }
}

impl FromStr for LoginGrant {
    type Err = LoginGrantError;

    fn from_str(text: &str) -> Result<Self, LoginGrantError> {
        text.parse().map(Self).map_err(LoginGrantError)
    }
}

impl fmt::Display for LoginGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not a [`LoginGrant`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoginGrantError(HttpGrantError);

impl fmt::Display for LoginGrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; expected a place such as https://idp.example or https://idp.example/oauth2/authorize",
            self.0.reason()
        )
    }
}

impl std::error::Error for LoginGrantError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_only_where_a_grant_says_however_it_reads_the_url() {
        for (grant, url, permitted) in [
            (
                "https://idp.example",
                "https://idp.example/authorize?a=b&c=%2e%2e",
                true,
            ),
            (
                "https://idp.example/authorize",
                "https://idp.example/authorize?a=b",
                true,
            ),
            ("https://idp.example/authorize", "https://idp.example/authorize/x", true),
            ("https://idp.example/authorize", "https://idp.example/authorized", false),
            ("https://idp.example/authorize", "https://idp.example/logout", false),
            ("https://idp.example/a", "https://idp.example/a/../logout", false),
            ("https://idp.example/a", "https://idp.example/a/%2E%2e/logout", false),
            ("https://idp.example", "http://idp.example/", false),
            ("https://idp.example", "https://idp.example:8443/", false),
            ("https://idp.example", "https://idp.example.evil/", false),
            ("https://idp.example", "https://evilidp.example/", false),
            ("https://idp.example", "https://idp.example@evil/", false),
            ("https://idp.example", "https://user@idp.example/", false),
            ("https://idp.example", "https://evil\\@idp.example/", false),
            ("https://idp.example", "https://idp.example\\.evil/", false),
            ("https://idp.example", "https://idp.example/\\evil", false),
            ("https://idp.example", "https://idp.example/#evil", false),
            ("https://idp.example", "https://idp.\texample/", false),
            ("https://idp.example", " https://idp.example/", false),
            ("https://idp.example", "https://idp.example/\r\nX: y", false),
            ("https://idp.example", "https://idp.example/\u{e9}", false),
            ("https://idp.example", "//idp.example/", false),
            ("https://idp.example", "/authorize", false),
            ("https://idp.example", "https:idp.example/", false),
            ("https://idp.example", "https:///idp.example/", false),
            ("https://idp.example", "javascript:alert(1)", false),
            ("https://idp.example", "idp.example", false),
            ("https://idp.example", "", false),
            ("https://*.idp.example", "https://a.idp.example/", true),
            ("https://*.idp.example", "https://idp.example/", false),
        ] {
            let parsed: LoginGrant = grant.parse().unwrap();
            assert_eq!(parsed.permits(url), permitted, "{grant} {url:?}");
        }
        let error = "idp.example".parse::<LoginGrant>().unwrap_err().to_string();
        assert!(
            error.contains("neither http:// nor https://; expected a place"),
            "{error}"
        );
    }
}
