//! A chain with sessions: a request is authenticated by its session cookie or else by its credentials, which may start
//! a session. Credentials always take precedence, so that a request never runs as the user of a cookie that a browser
//! adds.

mod response;

use std::sync::Arc;

use http::HeaderValue;

use crate::authenticator::Authenticator;
use crate::chain::Chain;
use crate::decision::Decision;
use crate::decision::Outcome;
use crate::request::AuthRequest;
use crate::session::Session;
use crate::session::SessionError;
use crate::session::Sessions;

pub use self::response::ResponseHeaders;

/// A chain and, optionally, sessions. A clone is the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    chain: Chain,
    sessions: Option<Arc<Sessions>>,
    starts_sessions: bool,
}

/// The result of [`Gate::admit`] for one request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admission {
    /// Whether the request is authenticated. It has no steps if a session authenticated it.
    pub decision: Decision,
    /// Whether a session authenticated the request, so that no authenticator was called.
    pub via_session: bool,
    /// Why the request's session cookie wasn't accepted. `None` if it was, if there is none, or if the request has
    /// credentials, which take precedence.
    pub session_error: Option<SessionError>,
    /// The request's session: one that authenticated it, or one that must be renewed before it does ([`Session::is_due`]).
    /// `None` if there is none that counts.
    pub session: Option<Session>,
    /// The `Set-Cookie` value of a new session, or of one that goes on because it was used. `None` if neither is the case.
    /// [`ResponseHeaders::apply`] writes it.
    pub set_cookie: Option<HeaderValue>,
}

impl Admission {
    /// The decision, and the header fields for the response. Apply them to every response to this request: to that of
    /// the service as well as to a refusal.
    pub fn into_parts(self) -> (Decision, ResponseHeaders) {
        let user = self.decision.outcome.user();
        let authenticator = user.map(|user| user.response_headers().clone()).unwrap_or_default();
        let headers = ResponseHeaders {
            authenticator,
            session: self.set_cookie,
        };
        (self.decision, headers)
    }
}

impl Gate {
    /// A gate with this chain. `sessions` is `None` if every request is authenticated by its credentials.
    pub fn new(chain: Chain, sessions: Option<Arc<Sessions>>) -> Self {
        // A plugin that could set the cookie could plant a session.
        let components = chain.authenticators().iter().filter_map(Authenticator::component);
        if let Some(sessions) = &sessions {
            components.for_each(|component| component.engine().reserve_cookie(sessions.cookie_name()));
        }
        Self {
            chain,
            sessions,
            starts_sessions: true,
        }
    }

    /// The same gate, but a user who is authenticated gets no session. Sessions that were started elsewhere are accepted.
    #[must_use]
    pub fn without_new_sessions(self) -> Self {
        Self {
            starts_sessions: false,
            ..self
        }
    }

    /// The authenticators.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The sessions. `None` if every request is authenticated by its credentials.
    pub fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.as_ref()
    }

    /// Authenticates a request by its session or its credentials.
    pub async fn admit(&self, request: &Arc<AuthRequest>) -> Admission {
        let (session, mut session_error) = match self.session(request) {
            Ok(session) => (session, None),
            Err(why) => (None, Some(why)),
        };
        if let Some(authenticated) = session.as_ref().and_then(Session::authenticated) {
            let decision = Decision {
                outcome: Outcome::Grant(authenticated),
                steps: Vec::new(),
            };
            let own = self.starting_sessions().zip(session.as_ref());
            return Admission {
                decision,
                via_session: true,
                session_error: None,
                set_cookie: own.and_then(|(sessions, session)| sessions.touch(session)),
                session,
            };
        }
        if session.is_some() {
            session_error = Some(SessionError::RenewalDue);
        }
        let decision = self.chain.decide(request).await;
        let set_cookie = self
            .starting_sessions()
            .zip(decision.outcome.user())
            .and_then(|(sessions, user)| sessions.seal(user));
        Admission {
            decision,
            via_session: false,
            session_error,
            session,
            set_cookie,
        }
    }

    /// The sessions, if this gate starts any.
    fn starting_sessions(&self) -> Option<&Arc<Sessions>> {
        self.sessions.as_ref().filter(|_| self.starts_sessions)
    }

    fn session(&self, request: &AuthRequest) -> Result<Option<Session>, SessionError> {
        match &self.sessions {
            Some(sessions) if !self.chain.has_credentials(request) => sessions.read(&request.headers, &self.chain),
            _ => Ok(None),
        }
    }
}
