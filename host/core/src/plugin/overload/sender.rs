//! Who sent a request, as far as that is known before the plugin is called: the client's address, and the credentials that
//! the plugin may read, or the user whom it is told about. Many people share an address behind a proxy, and one person has many
//! addresses.

use std::hash::BuildHasher;
use std::hash::Hasher;
use std::hash::RandomState;
use std::net::IpAddr;

use super::client::Client;
use crate::decision::Attribute;
use crate::decision::Authenticated;
use crate::grants::Grants;
use crate::question;
use crate::request::AuthRequest;

/// A hash of credentials with a secret of the process, so that no token is kept, and nobody can make two with one hash.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Credentials(u64);

/// The sender of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sender {
    pub(super) client: Option<Client>,
    /// `None` if it has sent none that the plugin may read.
    pub(super) credentials: Option<Credentials>,
}

impl Sender {
    /// The sender of whom only the address is known.
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self {
            client: address.map(Client::of),
            credentials: None,
        }
    }

    /// Whether both may be the same person: they share an address or credentials.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        self.client == other.client || (self.credentials.is_some() && self.credentials == other.credentials)
    }

    #[cfg(test)]
    pub(super) fn with_credentials(self, credentials: u64) -> Self {
        Self {
            credentials: Some(Credentials(credentials)),
            ..self
        }
    }
}

/// Tells senders apart.
#[derive(Debug)]
pub(super) struct Senders {
    /// What the plugin may read of a request that can be a credential.
    credentials: Box<[Attribute]>,
    secret: RandomState,
}

impl Senders {
    pub(super) fn new(grants: &Grants) -> Self {
        let headers = grants
            .credential_headers()
            .map(|name| Attribute::Header(name.as_str().to_owned()));
        let cookies = grants.cookies.iter().cloned().map(Attribute::Cookie);
        // Where all parameters are granted, most of them are none.
        let names_parameters = !grants.query.is_empty() && !grants.query.iter().any(|name| name == "*");
        let query = names_parameters.then_some(Attribute::Query);
        let certificate = grants.client_certificate.then_some(Attribute::ClientCertificate);
        Self {
            credentials: headers.chain(cookies).chain(query).chain(certificate).collect(),
            secret: RandomState::new(),
        }
    }

    pub(super) fn of(&self, request: &AuthRequest, grants: &Grants) -> Sender {
        let (mut hash, mut has_any) = (self.secret.build_hasher(), false);
        for attribute in &self.credentials {
            question::answer(attribute, request, grants, |value| {
                has_any = true;
                // Each value has its length before it, so that two lists of values are never the same bytes.
                hash.write_usize(value.len());
                hash.write(value);
            });
            hash.write_usize(usize::MAX);
        }
        Sender {
            credentials: has_any.then(|| Credentials(hash.finish())),
            ..Sender::at(request.client_address)
        }
    }

    /// The sender of a request whose user is known. Two authenticators may use one name for two people.
    pub(super) fn of_user(&self, request: &AuthRequest, user: &Authenticated) -> Sender {
        let who = (user.authenticator(), user.identity().name());
        Sender {
            credentials: Some(Credentials(self.secret.hash_one(who))),
            ..Sender::at(request.client_address)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderName;

    use super::*;
    use crate::decision::Claims;

    fn request(headers: &[(&'static str, &str)], path: &str) -> AuthRequest {
        let mut request = http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        AuthRequest::from_parts(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn credentials_are_what_the_plugin_may_read_and_every_value_of_it() {
        let grants = Grants {
            headers: ["authorization", "x-key", "user-agent"]
                .map(HeaderName::from_static)
                .to_vec(),
            cookies: vec!["token".to_owned()],
            ..Grants::default()
        };
        let senders = Senders::new(&grants);
        let of = |headers: &[(&'static str, &str)]| senders.of(&request(headers, "/"), &grants).credentials;
        let plain = of(&[("authorization", "a")]);
        assert!(plain.is_some());
        for same in [
            &[("authorization", "a"), ("user-agent", "x")][..],
            &[("authorization", "a"), ("x-other", "x")],
            &[("authorization", "a"), ("cookie", "other=x")],
        ] {
            assert_eq!(of(same), plain, "{same:?}");
        }
        let others = [
            &[("authorization", "b")][..],
            &[("authorization", "a"), ("authorization", "b")],
            &[("authorization", "ab")],
            &[("authorization", "a"), ("x-key", "b")],
            &[("x-key", "a")],
            &[("authorization", "a"), ("cookie", "token=x")],
            &[("authorization", "")],
        ]
        .map(of);
        for (index, one) in others.iter().enumerate() {
            assert!(one.is_some() && *one != plain, "{index}");
            assert!(others.iter().filter(|other| *other == one).count() == 1, "{index}");
        }
        assert_eq!(of(&[("user-agent", "x")]), None);
        assert_eq!(
            senders
                .of(&request(&[("authorization", "a")], "/elsewhere"), &grants)
                .credentials,
            plain,
            "the path is no credential"
        );
    }

    /// Otherwise an odd user would shut out everybody at the same address.
    #[test]
    fn a_known_user_is_told_apart_by_authenticator_and_name() {
        let senders = Senders::new(&Grants::default());
        let of = |authenticator: &str, name: &str| {
            let claims = Claims {
                name: name.to_owned(),
                ..Claims::default()
            };
            let user = Authenticated {
                identity: Arc::new(claims.try_into().unwrap()),
                authenticator: authenticator.into(),
                fingerprint: "f".into(),
                valid_for: None,
                response_headers: http::HeaderMap::new(),
            };
            senders.of_user(&request(&[], "/"), &user).credentials
        };
        let alice = of("hub", "alice");
        assert!(alice.is_some() && alice == of("hub", "alice"));
        assert!(alice != of("hub", "bob") && alice != of("tokens", "alice"));
    }

    #[test]
    fn two_senders_may_be_one_if_they_share_address_or_credentials() {
        let at = |last| Sender::at(Some([192, 0, 2, last].into()));
        for (one, other, may_be) in [
            (at(1), at(2), false),
            (at(1), at(1), true),
            (at(1).with_credentials(1), at(1).with_credentials(2), true),
            (at(1).with_credentials(1), at(2).with_credentials(1), true),
            (at(1).with_credentials(1), at(2).with_credentials(2), false),
            (at(1).with_credentials(1), at(2), false),
        ] {
            assert_eq!(one.may_be(&other), may_be, "{one:?} {other:?}");
        }
    }
}
