//! Grants that a plugin asks for, compared with those that it has. A plugin asks in its manifest, and by annotations in the
//! schema of its settings.

use std::fmt;

use http::HeaderName;
use http::Uri;

use super::Grants;
use super::HttpGrant;

/// In a manifest, the name for more than the manifest and the schema can name, such as servers that another server names.
pub(crate) const OTHERS: &str = "*";

/// A key of the grants.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum GrantKey {
    /// The client's TLS certificate.
    ClientCertificate,
    /// Cookies, by name.
    Cookies,
    /// Headers, by name.
    Headers,
    /// Servers, by URL.
    Http,
    /// Places to which browsers are sent to log in, by URL.
    Login,
    /// An acceptor of Negotiate tokens, by name.
    Negotiate,
    /// Query parameters, by name.
    Query,
    /// Keys to sign with, by name.
    Signing,
}

impl GrantKey {
    /// The key in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientCertificate => "client_certificate",
            Self::Cookies => "cookies",
            Self::Headers => "headers",
            Self::Http => "http",
            Self::Login => "login",
            Self::Negotiate => "negotiate",
            Self::Query => "query",
            Self::Signing => "signing",
        }
    }

    /// What one of its values names.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::ClientCertificate => "client certificate",
            Self::Cookies => "cookie",
            Self::Headers => "header",
            Self::Http => "server",
            Self::Login => "place to log in",
            Self::Negotiate => "acceptor",
            Self::Query => "query parameter",
            Self::Signing => "signing key",
        }
    }

    fn plural(self) -> String {
        match self {
            Self::Login => "places to log in".to_owned(),
            other => format!("{}s", other.noun()),
        }
    }
}

/// A grant that a plugin asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AskedGrant {
    /// The key of the grants that must list it.
    pub key: GrantKey,
    /// A name, or a URL. Of a URL in the settings only scheme, host and port, because the rest may be secret. Empty for the
    /// client certificate, and for an acceptor that the plugin doesn't name. `*` for names that are neither in the manifest nor
    /// in the settings.
    pub name: String,
    /// The setting that asks for it, as a path of keys and indices. `None` if the manifest asks.
    pub setting: Option<Vec<String>>,
    /// Whether it is granted.
    pub granted: bool,
}

/// A grant that a plugin has and never asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnaskedGrant {
    /// The key of the grants that lists it.
    pub key: GrantKey,
    /// A name, or a URL. Empty for the client certificate.
    pub name: String,
}

impl fmt::Display for AskedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe_grant(self.key, &self.name))
    }
}

impl fmt::Display for UnaskedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            // Granted, this stands for all of them.
            OTHERS => write!(f, "{} \"*\"", self.key.noun()),
            name => f.write_str(&describe_grant(self.key, name)),
        }
    }
}

/// A grant that a plugin asks for, in words: `header "x-api-key"`.
pub fn describe_grant(key: GrantKey, name: &str) -> String {
    let noun = key.noun();
    match name {
        "" => noun.to_owned(),
        OTHERS => format!("{} that neither its manifest nor its settings name", key.plural()),
        name => format!("{noun} {name:?}"),
    }
}

impl Grants {
    /// Whether something that a plugin asks for is granted. `None` if nothing could be granted for this name.
    pub(crate) fn has(&self, key: GrantKey, name: &str) -> Option<bool> {
        Some(match key {
            GrantKey::ClientCertificate => self.client_certificate,
            GrantKey::Cookies => self.cookie(name),
            GrantKey::Headers => self.header(&name.parse::<HeaderName>().ok()?),
            GrantKey::Http => {
                let uri: Uri = name.parse().ok()?;
                let is_absolute = uri.scheme_str().is_some() && uri.host().is_some();
                is_absolute.then(|| self.http.iter().any(|grant| serves(grant, name)))?
            }
            GrantKey::Login => {
                let uri: Uri = name.parse().ok()?;
                let is_absolute = uri.scheme_str().is_some() && uri.host().is_some();
                is_absolute.then(|| self.login.iter().any(|grant| grant.serves(name)))?
            }
            GrantKey::Negotiate if name.is_empty() => self.negotiate.is_some(),
            GrantKey::Negotiate => self.negotiate.as_deref() == Some(name),
            GrantKey::Query => self.parameter(name),
            GrantKey::Signing => self.signing.iter().any(|granted| granted == name),
        })
    }

    /// Everything that is granted and not among what a plugin asks for: pairs of key and name. A default grant counts
    /// as asked for, because the operator did not write it.
    pub(crate) fn unasked(&self, asked: &[(GrantKey, String)]) -> Vec<UnaskedGrant> {
        let names = |key: GrantKey| asked.iter().filter(move |(of, _)| *of == key).map(|(_, name)| name);
        let is_asked = |key: GrantKey, fits: &dyn Fn(&str) -> bool| names(key).any(|name| name == OTHERS || fits(name));
        let mut unasked = Vec::new();
        let mut check = |key: GrantKey, name: &str, fits: &dyn Fn(&str) -> bool| {
            if !is_asked(key, fits) {
                let name = name.to_owned();
                unasked.push(UnaskedGrant { key, name });
            }
        };
        if self.headers != Self::default().headers {
            for header in &self.headers {
                check(GrantKey::Headers, header.as_str(), &|name| header == name);
            }
        }
        for cookie in &self.cookies {
            check(GrantKey::Cookies, cookie, &|name| cookie == name);
        }
        for parameter in &self.query {
            check(GrantKey::Query, parameter, &|name| parameter == name);
        }
        for grant in &self.http {
            check(GrantKey::Http, &grant.to_string(), &|name| serves(grant, name));
        }
        for grant in &self.login {
            check(GrantKey::Login, &grant.to_string(), &|name| grant.serves(name));
        }
        for key in &self.signing {
            check(GrantKey::Signing, key, &|name| key == name);
        }
        if self.client_certificate {
            check(GrantKey::ClientCertificate, "", &|_| true);
        }
        if let Some(acceptor) = &self.negotiate {
            check(GrantKey::Negotiate, acceptor, &|name| {
                name.is_empty() || name == acceptor
            });
        }
        unasked
    }
}

/// Whether a grant covers a part of what is asked for: a URL, or a grant in the form that operators write.
pub(super) fn serves(grant: &HttpGrant, asked: &str) -> bool {
    let covers = |uri: &Uri| grant.permits(uri) || grant.is_below(uri);
    let overlaps = |asked: &HttpGrant| grant.includes(asked) || asked.includes(grant);
    asked.parse().is_ok_and(|uri| covers(&uri)) || asked.parse().is_ok_and(|asked| overlaps(&asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants() -> Grants {
        Grants {
            headers: ["authorization", "x-key"].map(|name| name.parse().unwrap()).to_vec(),
            cookies: vec!["a".to_owned()],
            query: vec!["*".to_owned()],
            http: ["https://idp.example/keys", "https://*.example.org"]
                .map(|grant| grant.parse().unwrap())
                .to_vec(),
            login: vec!["https://idp.example/authorize".parse().unwrap()],
            signing: vec!["client".to_owned()],
            client_certificate: true,
            negotiate: Some("main".to_owned()),
            ..Grants::default()
        }
    }

    #[test]
    fn what_is_asked_for_is_granted_or_not() {
        for (key, name, expected) in [
            (GrantKey::Headers, "X-Key", Some(true)),
            (GrantKey::Headers, "x-other", Some(false)),
            (GrantKey::Headers, "no header", None),
            (GrantKey::Cookies, "a", Some(true)),
            (GrantKey::Cookies, "A", Some(false)),
            (GrantKey::Query, "anything", Some(true)),
            (GrantKey::Http, "https://idp.example", Some(true)),
            (GrantKey::Http, "https://idp.example/keys/a?b=c", Some(true)),
            (GrantKey::Http, "https://idp.example/?a=b", Some(true)),
            (GrantKey::Http, "https://idp.example/other", Some(false)),
            (GrantKey::Http, "https://idp.example/other?a=b", Some(false)),
            (GrantKey::Http, "https://a.example.org", Some(true)),
            (GrantKey::Http, "https://*.example.org", Some(true)),
            (GrantKey::Http, "https://*.example", Some(true)),
            (GrantKey::Http, "http://*.example.org", Some(false)),
            (GrantKey::Http, "/path", None),
            (GrantKey::Http, "idp.example", None),
            (GrantKey::Login, "https://idp.example", Some(true)),
            (GrantKey::Login, "https://idp.example/authorize?a=b", Some(true)),
            (GrantKey::Login, "https://idp.example/logout", Some(false)),
            (GrantKey::Login, "/path", None),
            (GrantKey::Signing, "client", Some(true)),
            (GrantKey::Signing, "other", Some(false)),
            (GrantKey::ClientCertificate, "", Some(true)),
            (GrantKey::Negotiate, "", Some(true)),
            (GrantKey::Negotiate, "main", Some(true)),
            (GrantKey::Negotiate, "other", Some(false)),
        ] {
            assert_eq!(grants().has(key, name), expected, "{key:?} {name:?}");
        }
    }

    #[test]
    fn what_is_granted_is_asked_for_or_not() {
        let all = [
            "client certificate",
            "cookie \"a\"",
            "header \"authorization\"",
            "header \"x-key\"",
            "query parameter \"*\"",
            "server \"https://*.example.org:443\"",
            "server \"https://idp.example:443/keys\"",
            "acceptor \"main\"",
            "place to log in \"https://idp.example:443/authorize\"",
            "signing key \"client\"",
        ];
        for (asked, fewer) in [
            (&[][..], &[][..]),
            (&[(GrantKey::Headers, "x-key")], &[3]),
            (&[(GrantKey::Headers, "*")], &[2, 3]),
            (&[(GrantKey::Query, "a")], &[]),
            (&[(GrantKey::Query, "*")], &[4]),
            (&[(GrantKey::Http, "https://idp.example/")], &[6]),
            (&[(GrantKey::Http, "https://a.example.org/b")], &[5]),
            (&[(GrantKey::Http, "*")], &[5, 6]),
            (&[(GrantKey::ClientCertificate, ""), (GrantKey::Cookies, "a")], &[0, 1]),
            (&[(GrantKey::Negotiate, "")], &[7]),
            (&[(GrantKey::Negotiate, "other")], &[]),
            (&[(GrantKey::Login, "https://idp.example/authorize")], &[8]),
            (
                &[
                    (GrantKey::Login, "https://idp.example/logout"),
                    (GrantKey::Signing, "client"),
                ],
                &[9],
            ),
        ] {
            let asked = Vec::from_iter(asked.iter().map(|(key, name)| (*key, (*name).to_owned())));
            let unasked = grants().unasked(&asked);
            let mut unasked = Vec::from_iter(unasked.iter().map(ToString::to_string));
            let expected = all.iter().enumerate().filter(|(index, _)| !fewer.contains(index));
            let mut expected = Vec::from_iter(expected.map(|(_, name)| (*name).to_owned()));
            unasked.sort();
            expected.sort();
            assert_eq!(unasked, expected, "{asked:?}");
        }
        assert_eq!(Grants::default().unasked(&[]), []);
    }
}
