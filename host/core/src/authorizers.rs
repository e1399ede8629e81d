//! The authorizers of a route, asked in order about a request whose sender is known. All of them must permit it; the first one
//! that doesn't ends it. A plugin that fails permits nothing.

use std::sync::Arc;

use http::HeaderMap;

use crate::authorizer::Authorizer;
use crate::decision::Authenticated;
use crate::decision::Authorization;
use crate::decision::Identity;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Permits;
use crate::decision::Refusal;
use crate::request::AuthRequest;
use crate::role::Role;

/// Authorizers in the order in which they are asked. A clone shares them. Without any, every request is permitted.
#[derive(Clone, Debug, Default)]
pub struct Authorizers(Arc<[Authorizer]>);

impl Authorizers {
    /// These authorizers.
    pub fn new(authorizers: impl IntoIterator<Item = Authorizer>) -> Self {
        Self(authorizers.into_iter().collect())
    }

    /// The authorizers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Authorizer> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides about a request of a made-up user, whom an authenticator of this name is said to have identified, or of nobody. This
    /// is for tests, and proves nothing about anybody.
    pub async fn decide_as(&self, request: &Arc<AuthRequest>, user: Option<(Identity, &str)>) -> Authorization {
        let authentication = match user {
            Some((identity, authenticator)) => Outcome::Grant(Authenticated {
                identity: Arc::new(identity),
                authenticator: authenticator.into(),
                fingerprint: Arc::default(),
                valid_for: None,
                response_headers: HeaderMap::new(),
            }),
            None => Outcome::Refuse(Refusal::Unauthenticated {
                credentials: false,
                challenges: Vec::new(),
            }),
        };
        self.decide(request, &authentication).await
    }

    /// Decides about a request, of which this is the outcome of the authentication. Where requests without credentials are
    /// accepted, one is decided about without a user: if that is forbidden, the request is refused with this outcome, so that its
    /// client learns how to authenticate. A request that has failed to authenticate stays refused, and nobody is asked.
    pub async fn decide(&self, request: &Arc<AuthRequest>, authentication: &Outcome) -> Authorization {
        let user = match authentication {
            Outcome::Grant(user) => Some(user),
            Outcome::Refuse(refusal) if refusal.lacks_credentials() => None,
            Outcome::Refuse(refusal) => return Authorization::refused(refusal.clone(), Vec::new()),
        };
        let (mut permits, mut steps) = (Vec::new(), Vec::with_capacity(self.0.len()));
        for authorizer in self.0.iter() {
            let outcome = authorizer.ask(request, user).await;
            steps.push(outcome.step);
            let refusal = match outcome.next {
                Next::Permit(permit) => {
                    permits.push(permit);
                    continue;
                }
                Next::Stop(Outcome::Refuse(refusal)) => refusal,
                // No authorizer answers so.
                Next::Continue(_) | Next::Stop(Outcome::Grant(_)) => Refusal::Unavailable {
                    role: Role::Authorizer,
                    retry_after: None,
                },
            };
            let refusal = match (refusal, authentication) {
                (Refusal::Forbid { .. }, Outcome::Refuse(unauthenticated)) => unauthenticated.clone(),
                (refusal, _) => refusal,
            };
            return Authorization::refused(refusal, steps);
        }
        Authorization {
            outcome: Ok(Permits::new(permits)),
            steps,
        }
    }
}
