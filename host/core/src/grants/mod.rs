//! What an operator lets an authenticator see and reach. All else is answered as if it weren't there.

mod host;
mod http;

use ::http::HeaderName;
use ::http::header;

pub use self::http::HttpGrant;
pub use self::http::HttpGrantError;
pub(crate) use self::http::port;

/// The headers, cookies, parameters and servers that one authenticator is granted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever configures an authenticator")]
pub struct Grants {
    /// Headers that it may read. `Cookie` is never among them: cookies are granted by name.
    pub headers: Vec<HeaderName>,
    /// Cookies that it may read, by name.
    pub cookies: Vec<String>,
    /// Parameters of the query that it may read, by name; `*` means all of them.
    pub query: Vec<String>,
    /// Servers that it may ask.
    pub http: Vec<HttpGrant>,
    /// Whether a server that is granted by name may have a loopback, private or unique-local address. An address that
    /// is granted as such needs no leave, and link-local addresses and those of cloud metadata are only granted so.
    pub private: bool,
    /// Whether it may read the client's TLS certificate.
    pub client_certificate: bool,
    /// The acceptor of Negotiate tokens that it may ask, by name.
    pub negotiate: Option<String>,
}

impl Default for Grants {
    /// The `Authorization` header and nothing else.
    fn default() -> Self {
        Self {
            headers: vec![header::AUTHORIZATION],
            cookies: Vec::new(),
            query: Vec::new(),
            http: Vec::new(),
            private: false,
            client_certificate: false,
            negotiate: None,
        }
    }
}

impl Grants {
    /// The granted headers that may carry a credential: all but those that describe the client or its request.
    pub fn credential_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().filter(|name| !DESCRIPTIVE.contains(name))
    }

    pub(crate) fn header(&self, name: &HeaderName) -> bool {
        // The whole header would show the gateway's own session, and the cookies of others.
        *name != header::COOKIE && self.headers.contains(name)
    }

    pub(crate) fn cookie(&self, name: &str) -> bool {
        self.cookies.iter().any(|granted| granted == name)
    }

    /// Whether a parameter of this name, as sent, may be read.
    pub fn parameter(&self, name: &str) -> bool {
        self.query.iter().any(|granted| granted == "*" || granted == name)
    }

    /// The granted parameters of a query, as sent and in order.
    pub(crate) fn visible_query(&self, query: &str) -> Option<String> {
        let granted = |pair: &&str| self.parameter(pair.split('=').next().unwrap_or(pair));
        let visible: Vec<_> = query.split('&').filter(granted).collect();
        (!visible.is_empty()).then(|| visible.join("&"))
    }
}

/// Headers that an authenticator may well read, that every client sends, and that say nothing of who it is.
const DESCRIPTIVE: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    header::UPGRADE,
    header::USER_AGENT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_granted_parameters_are_visible() {
        let grants = |names: &[&str]| Grants {
            query: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Grants::default()
        };
        for (names, query, visible) in [
            (&[][..], "a=1&b=2", None),
            (&["a"], "a=1&b=2&a=%20", Some("a=1&a=%20")),
            (&["a"], "ab=1&A=2&a", Some("a")),
            (&["*"], "a=1&b=2", Some("a=1&b=2")),
            (&["a"], "", None),
        ] {
            assert_eq!(
                grants(names).visible_query(query).as_deref(),
                visible,
                "{names:?} {query}"
            );
        }
    }
}
