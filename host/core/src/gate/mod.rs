//! All that stands between a request and a service: its session, else its credentials, and the cookie that saves asking
//! again. Credentials always win over a session, so that nobody passes for the owner of a cookie jar.

mod response;

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderValue;

use crate::chain::Chain;
use crate::decision::Authenticated;
use crate::decision::Decision;
use crate::decision::Outcome;
use crate::request::AuthRequest;
use crate::session::Sessions;

pub use self::response::ResponseHeaders;

/// A chain with the sessions that it made. A clone is the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    chain: Chain,
    sessions: Option<Arc<Sessions>>,
}

/// What a gate says to one request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admission {
    /// Whether it may go on. There are no steps when a session spoke for it.
    pub decision: Decision,
    /// Whether a session spoke for it.
    pub via_session: bool,
    /// A `Set-Cookie` value for the response, whatever its status. [`Admission::into_parts`] writes it as it must be written.
    pub set_cookie: Option<HeaderValue>,
}

impl Admission {
    /// The decision, and what the response carries however it is answered: apply it to a refusal as well as to the
    /// response of the service.
    pub fn into_parts(self) -> (Decision, ResponseHeaders) {
        let authenticator = match &self.decision.outcome {
            Outcome::Grant(authenticated) => authenticated.response_headers().clone(),
            Outcome::Refuse(_) => HeaderMap::new(),
        };
        let headers = ResponseHeaders {
            authenticator,
            session: self.set_cookie,
        };
        (self.decision, headers)
    }
}

impl Gate {
    /// A gate with this chain, and with sessions or without.
    pub fn new(chain: Chain, sessions: Option<Arc<Sessions>>) -> Self {
        Self { chain, sessions }
    }

    /// The authenticators that it asks.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The sessions that it opens and makes.
    pub fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.as_ref()
    }

    /// Says who sent a request.
    pub async fn admit(&self, request: &Arc<AuthRequest>) -> Admission {
        if let Some(authenticated) = self.session(request) {
            let decision = Decision {
                outcome: Outcome::Grant(authenticated),
                steps: Vec::new(),
            };
            return Admission {
                decision,
                via_session: true,
                set_cookie: None,
            };
        }
        let decision = self.chain.decide(request).await;
        let set_cookie = match (&decision.outcome, &self.sessions) {
            (Outcome::Grant(authenticated), Some(sessions)) => sessions.seal(authenticated),
            _ => None,
        };
        Admission {
            decision,
            via_session: false,
            set_cookie,
        }
    }

    fn session(&self, request: &AuthRequest) -> Option<Authenticated> {
        let sessions = self.sessions.as_ref()?;
        if self.chain.has_credentials(request) {
            None
        } else {
            sessions.open(request, &self.chain)
        }
    }
}
