//! What an operator allows a plugin to read and reach. To the plugin, everything else appears absent.

mod asked;
mod host;
mod http;
mod login;

use ::http::HeaderName;
use ::http::header;

pub use self::asked::AskedGrant;
pub use self::asked::GrantKey;
pub(crate) use self::asked::OTHERS;
pub use self::asked::UnaskedGrant;
pub use self::asked::describe_grant;
pub use self::http::HttpGrant;
pub use self::http::HttpGrantError;
pub(crate) use self::http::port;
pub use self::login::LoginGrant;
pub use self::login::LoginGrantError;
use crate::role::Role;

/// The grants of one plugin: the attributes of a request that it may read, and the servers that it may reach.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "built by applications that configure a plugin")]
pub struct Grants {
    /// The headers that it may read. `Cookie` has no effect here, because cookies are granted by name. Default:
    /// `Authorization`.
    pub headers: Vec<HeaderName>,
    /// The names of the cookies that it may read.
    pub cookies: Vec<String>,
    /// The names of the query parameters that it may read. `*` stands for all parameters.
    pub query: Vec<String>,
    /// The servers to which it may send requests.
    pub http: Vec<HttpGrant>,
    /// Whether a server that is granted by its name may resolve to a loopback, private or unique-local address. A
    /// server that is granted by its address doesn't need this. Link-local addresses and those of cloud metadata
    /// services can be granted by address only.
    pub private: bool,
    /// Whether it may read the client's TLS certificate.
    pub client_certificate: bool,
    /// The name of the acceptor to which it may pass Negotiate tokens. `None` if it may pass none.
    pub negotiate: Option<String>,
    /// The places to which a login may send a browser.
    pub login: Vec<LoginGrant>,
    /// The names of the keys with which it may sign.
    pub signing: Vec<String>,
}

impl Grants {
    /// The grants of a plugin in this role for which the operator names none: the `Authorization` header for an authenticator, and
    /// nothing for an authorizer, which is told who the user is.
    pub fn of_role(role: Role) -> Self {
        match role {
            Role::Authenticator | Role::Login => Self::default(),
            Role::Authorizer => Self {
                headers: Vec::new(),
                ..Self::default()
            },
        }
    }
}

impl Default for Grants {
    /// The `Authorization` header only.
    fn default() -> Self {
        Self {
            headers: vec![header::AUTHORIZATION],
            cookies: Vec::new(),
            query: Vec::new(),
            http: Vec::new(),
            private: false,
            client_certificate: false,
            negotiate: None,
            login: Vec::new(),
            signing: Vec::new(),
        }
    }
}

impl Grants {
    /// The granted headers that may carry a credential: all except those that describe the client or its request.
    pub fn credential_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().filter(|name| !DESCRIPTIVE.contains(name))
    }

    pub(crate) fn header(&self, name: &HeaderName) -> bool {
        // The whole header would show the session cookie and cookies that are not granted.
        *name != header::COOKIE && self.headers.contains(name)
    }

    pub(crate) fn cookie(&self, name: &str) -> bool {
        self.cookies.iter().any(|granted| granted == name)
    }

    /// Whether the query parameter of this name is granted. The name is compared in the form in which it was sent.
    pub fn parameter(&self, name: &str) -> bool {
        self.query.iter().any(|granted| granted == "*" || granted == name)
    }

    /// The granted parameters of a query, in their original form and order. `None` if there are none.
    pub(crate) fn visible_query(&self, query: &str) -> Option<String> {
        let granted = |pair: &&str| self.parameter(pair.split('=').next().unwrap_or(pair));
        let visible: Vec<_> = query.split('&').filter(granted).collect();
        (!visible.is_empty()).then(|| visible.join("&"))
    }
}

/// Headers that every client sends and that don't identify a user.
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
    fn a_plugin_sees_granted_parameters_only() {
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

    #[test]
    fn a_plugin_sees_granted_headers_and_cookies_only() {
        let grants = Grants {
            headers: ["authorization", "x-key", "cookie", "user-agent"]
                .map(|name| name.parse().unwrap())
                .to_vec(),
            cookies: vec!["a".to_owned(), "b".to_owned()],
            ..Grants::default()
        };
        for (name, visible, credential) in [
            ("authorization", true, true),
            ("x-key", true, true),
            // It describes the client.
            ("user-agent", true, false),
            // Cookies are granted by name.
            ("cookie", false, false),
            ("x-other", false, false),
        ] {
            let name: HeaderName = name.parse().unwrap();
            assert_eq!(grants.header(&name), visible, "{name}");
            assert_eq!(
                grants.credential_headers().any(|known| *known == name),
                credential,
                "{name}"
            );
            assert!(
                !Grants {
                    headers: Vec::new(),
                    ..grants.clone()
                }
                .header(&name),
                "{name}"
            );
        }
        for (name, visible) in [
            ("a", true),
            ("b", true),
            ("A", false),
            ("ab", false),
            ("", false),
            ("*", false),
        ] {
            assert_eq!(grants.cookie(name), visible, "{name}");
        }
        assert!(!Grants::default().cookie("a"));
    }
}
