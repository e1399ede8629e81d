//! The authenticators of a route, called in order until one of them decides. Only `not-mine` leads to the next one: a
//! plugin that fails ends the chain, so that a failure never leads to a weaker check.

use std::sync::Arc;

use http::header;

use crate::authenticator::Authenticator;
use crate::decision::Challenge;
use crate::decision::Decision;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::request::AuthRequest;
use crate::role::Role;

/// Authenticators in the order in which they are called. A clone shares the authenticators.
#[derive(Clone, Debug)]
pub struct Chain(Arc<[Authenticator]>);

impl Chain {
    /// A chain of these authenticators. An empty chain refuses every request.
    pub fn new(authenticators: impl IntoIterator<Item = Authenticator>) -> Self {
        Self(authenticators.into_iter().collect())
    }

    /// The authenticators, in order.
    pub fn authenticators(&self) -> &[Authenticator] {
        &self.0
    }

    /// Authenticates a request.
    pub async fn decide(&self, request: &Arc<AuthRequest>) -> Decision {
        let mut challenges = Vec::new();
        let mut steps = Vec::with_capacity(self.0.len());
        for authenticator in self.0.iter() {
            let outcome = authenticator.ask(request).await;
            steps.push(outcome.step);
            match outcome.next {
                Next::Continue(challenge) => challenges.extend(challenge),
                Next::Stop(outcome) => {
                    return Decision {
                        outcome: with_challenges(outcome, challenges),
                        steps,
                    };
                }
                // No authenticator answers so.
                Next::Permit(_) => {
                    let refusal = Refusal::Unavailable {
                        role: Role::Authenticator,
                        retry_after: None,
                    };
                    return Decision {
                        outcome: Outcome::Refuse(refusal),
                        steps,
                    };
                }
            }
        }
        let refusal = Refusal::Unauthenticated {
            credentials: false,
            challenges,
        };
        Decision {
            outcome: Outcome::Refuse(refusal),
            steps,
        }
    }

    /// Whether the request carries anything that an authenticator of this chain may read as a credential. Such a
    /// request must be authenticated by the chain and not by a session.
    pub fn has_credentials(&self, request: &AuthRequest) -> bool {
        request.headers.contains_key(header::AUTHORIZATION)
            || self.0.iter().any(|authenticator| has_granted(authenticator, request))
    }
}

fn has_granted(authenticator: &Authenticator, request: &AuthRequest) -> bool {
    let grants = authenticator.grants();
    grants
        .credential_headers()
        .any(|name| request.headers.contains_key(name))
        || grants.cookies.iter().any(|name| request.cookies(name).next().is_some())
        || request
            .query
            .as_deref()
            .is_some_and(|query| grants.visible_query(query).is_some())
        || (grants.client_certificate && request.client_certificate.is_some())
}

/// Adds the challenges of earlier authenticators to those of the one that refused.
fn with_challenges(outcome: Outcome, earlier: Vec<Challenge>) -> Outcome {
    match outcome {
        Outcome::Refuse(Refusal::Unauthenticated {
            credentials,
            mut challenges,
        }) => {
            challenges.extend(earlier);
            Outcome::Refuse(Refusal::Unauthenticated {
                credentials,
                challenges,
            })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::grants::Grants;

    fn request(headers: &[(&'static str, &'static str)], query: Option<&str>, certificate: bool) -> AuthRequest {
        let (parts, ()) = http::Request::new(()).into_parts();
        let mut request = AuthRequest::from_parts(&parts);
        for (name, value) in headers {
            request.headers.insert(*name, value.parse().unwrap());
        }
        request.query = query.map(str::to_owned);
        request.client_certificate = certificate.then(|| Bytes::from_static(b"DER"));
        request
    }

    #[test]
    fn what_an_authenticator_may_read_as_a_credential_takes_precedence_over_a_session() {
        let none = Grants {
            headers: Vec::new(),
            ..Grants::default()
        };
        let all = Grants {
            headers: ["x-key", "user-agent"].map(|name| name.parse().unwrap()).to_vec(),
            cookies: vec!["token".to_owned()],
            query: vec!["token".to_owned()],
            client_certificate: true,
            ..none.clone()
        };
        let chain = |grants: &[&Grants]| {
            Chain::new(
                grants
                    .iter()
                    .map(|grants| Authenticator::disabled("a", (*grants).clone(), "it is tested")),
            )
        };
        let (bare, first, last) = (chain(&[&none]), chain(&[&all, &none]), chain(&[&none, &all]));
        for (what, request, without_a_grant, with_one) in [
            ("nothing", request(&[], None, false), false, false),
            // The application behind may read it, so it must not be sent as the user of a session.
            (
                "Authorization",
                request(&[("authorization", "x")], None, false),
                true,
                true,
            ),
            ("a header", request(&[("x-key", "x")], None, false), false, true),
            (
                "another header",
                request(&[("x-other", "x")], None, false),
                false,
                false,
            ),
            (
                "a header of every client",
                request(&[("user-agent", "x")], None, false),
                false,
                false,
            ),
            (
                "a cookie",
                request(&[("cookie", "a=b; token=x")], None, false),
                false,
                true,
            ),
            (
                "another cookie",
                request(&[("cookie", "session=x; tokens=x")], None, false),
                false,
                false,
            ),
            ("a parameter", request(&[], Some("a=b&token=x"), false), false, true),
            ("another parameter", request(&[], Some("a=b"), false), false, false),
            ("a certificate", request(&[], None, true), false, true),
        ] {
            assert_eq!(bare.has_credentials(&request), without_a_grant, "{what}");
            assert_eq!(first.has_credentials(&request), with_one, "{what}");
            assert_eq!(last.has_credentials(&request), with_one, "{what}");
            assert_eq!(
                chain(&[]).has_credentials(&request),
                without_a_grant,
                "{what}, an empty chain"
            );
        }
    }
}
