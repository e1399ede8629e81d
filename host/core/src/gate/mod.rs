//! A chain with sessions: a request is authenticated by its session cookie or else by its credentials, which may start
//! a session. Credentials always take precedence, so that a request never runs as the user of a cookie that a browser
//! adds.

mod renewal;
mod response;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::authenticator::Authenticator;
use crate::chain::Chain;
use crate::decision::Authenticated;
use crate::decision::Decision;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::login::Login;
use crate::request::AuthRequest;
use crate::role::Role;
use crate::session::Session;
use crate::session::SessionError;
use crate::session::Sessions;
use crate::session::meters;

pub use self::renewal::Renewal;
pub use self::response::ResponseHeaders;
pub use self::standing::Standing;

/// A chain and, optionally, sessions. A clone is the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    chain: Chain,
    sessions: Option<Arc<Sessions>>,
    starts_sessions: bool,
    /// The logins of the chain, which are asked about sessions that are due.
    logins: Arc<[Login]>,
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
    /// The request's session: one that authenticated it, renewed if it was due, or one that is still due ([`Session::is_due`]) and
    /// didn't authenticate it. `None` if there is none that counts.
    pub session: Option<Session>,
    /// What came of the attempt to renew the session. `None` if the session wasn't due, or if there is none.
    pub renewal: Option<Renewal>,
    /// The `Set-Cookie` value of a new session, of one that goes on because it was used or renewed, or one that removes a session
    /// that is over. `None` if none of these is the case. [`ResponseHeaders::apply`] writes it.
    pub set_cookie: Option<HeaderValue>,
}

/// When a client should try again whose session can't go on now.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A session whose login must be asked.
struct DueSession {
    sessions: Arc<Sessions>,
    session: Session,
}

impl Admission {
    /// A request that its session authenticates.
    fn via_session(session: Session, user: Authenticated) -> Self {
        Self {
            decision: Decision {
                outcome: Outcome::Grant(user),
                steps: Vec::new(),
            },
            via_session: true,
            session_error: None,
            session: Some(session),
            renewal: None,
            set_cookie: None,
        }
    }

    /// A request with a session of which it isn't known whether it was ended.
    fn uncertain() -> Self {
        let refusal = Refusal::Unavailable {
            role: Role::Authenticator,
            retry_after: Some(RETRY_AFTER),
        };
        Self {
            decision: Decision {
                outcome: Outcome::Refuse(refusal),
                steps: Vec::new(),
            },
            via_session: false,
            session_error: Some(SessionError::Uncertain),
            session: None,
            renewal: None,
            set_cookie: None,
        }
    }

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
        let components = chain
            .authenticators()
            .iter()
            .filter_map(|authenticator| authenticator.component());
        if let Some(sessions) = &sessions {
            components.for_each(|component| component.engine().reserve_cookie(sessions.cookie_name()));
        }
        Self {
            logins: match &sessions {
                Some(_) => chain.authenticators().iter().filter_map(Authenticator::login).collect(),
                None => Arc::default(),
            },
            chain,
            sessions,
            starts_sessions: true,
        }
    }

    /// The same gate, but a user who is authenticated gets no session. Sessions that were started elsewhere are accepted, and go
    /// on by their use.
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

    /// Authenticates a request by its session or its credentials. A session that is due is renewed by its login, with one call for
    /// all requests of the session in this process; [`Admission::renewal`] says what came of it.
    pub async fn admit(&self, request: &Arc<AuthRequest>) -> Admission {
        match self.admit_without_login(request).await {
            Ok(admission) => {
                if let Some(why) = admission.session_error {
                    meters::refused(why);
                }
                admission
            }
            // Boxed because few sessions are due, and every request would hold room for it.
            Err(due) => Box::pin(self.admit_due(*due, request)).await,
        }
    }

    /// Says how [`admit`](Self::admit) would decide, for somebody who only wants to know. The authenticators are asked, but no login is,
    /// because that could use up the session's refresh token: see [`Renewal::Unasked`].
    pub async fn explain(&self, request: &Arc<AuthRequest>) -> Admission {
        match self.admit_without_login(request).await {
            Ok(admission) => admission,
            Err(due) => self.explain_due(due.session, request).await,
        }
    }

    /// Authenticates a request whose session isn't due. Returns the session if it is.
    async fn admit_without_login(&self, request: &Arc<AuthRequest>) -> Result<Admission, Box<DueSession>> {
        let (session, session_error) = match self.session(request) {
            Ok(session) => (session, None),
            // To log in again would not help: the new session would be no more certain.
            Err(SessionError::Uncertain) => return Ok(Admission::uncertain()),
            Err(why) => (None, Some(why)),
        };
        let Some((sessions, session)) = self.sessions.as_ref().zip(session) else {
            return Ok(self.admit_by_chain(request, session_error).await);
        };
        match session.authenticated() {
            Some(user) => Ok(Admission {
                set_cookie: sessions.touch(&session),
                ..Admission::via_session(session, user)
            }),
            None => Err(Box::new(DueSession {
                sessions: Arc::clone(sessions),
                session,
            })),
        }
    }

    async fn admit_by_chain(&self, request: &Arc<AuthRequest>, session_error: Option<SessionError>) -> Admission {
        let decision = self.chain.decide(request).await;
        let starting = self.sessions.as_ref().filter(|_| self.starts_sessions);
        let set_cookie = starting
            .zip(decision.outcome.user())
            .filter(|(sessions, _)| sessions.can_be_kept_by(&request.headers))
            .and_then(|(sessions, user)| sessions.seal(user));
        Admission {
            decision,
            via_session: false,
            session_error,
            session: None,
            renewal: None,
            set_cookie,
        }
    }

    fn session(&self, request: &AuthRequest) -> Result<Option<Session>, SessionError> {
        match &self.sessions {
            Some(sessions) if !self.chain.has_credentials(request) => sessions.read(&request.headers, &self.chain),
            _ => Ok(None),
        }
    }
}
