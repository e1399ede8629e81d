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
