//! What becomes of a request whose session is due: its login is asked, and the session goes on, ends, or waits for a provider that is
//! down.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use metrics::counter;
use metrics::describe_counter;

use super::Admission;
use super::DueSession;
use super::Gate;
use super::RETRY_AFTER;
use crate::decision::Authenticated;
use crate::decision::Decision;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::login::Login;
use crate::login::LoginError;
use crate::request::AuthRequest;
use crate::role::Role;
use crate::session::Session;
use crate::session::SessionError;
use crate::session::Sessions;

/// For how long after it is due a session goes on while its login can't decide.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What came of the attempt to renew a session. The texts are for the operator.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller that forgets a result must not compile")]
pub enum Renewal {
    /// Its login says that it goes on. The request is admitted as the user whom the login names now, and
    /// [`Admission::set_cookie`] is the renewed session.
    Renewed,
    /// Its login can't decide now, for this reason. The request is admitted as before: a session goes on for five minutes after it
    /// was due.
    Kept(String),
    /// Its login hasn't been able to decide for more than five minutes, for this reason. The request is refused with 503.
    Unavailable(String),
    /// It is over, for this reason: its login said so, or it doesn't fit into a cookie any more. It was revoked, and
    /// [`Admission::set_cookie`] removes it. The chain decides about the request, as if the session had never been there.
    Over(String),
    /// Its login would be asked, and wasn't: [`Gate::explain`] asks none. The request is admitted as before.
    Unasked,
    /// Only the browser can tell: the login keeps nothing, or asks for it. The chain decides about the request. If it refuses one
    /// that a browser can come back with, begin a flow that is silent ([`Flow::silent`](crate::Flow::silent)) with the login of
    /// [`Session::authenticator`]; the session stays in [`Admission::session`] until the flow has started the next one.
    Silent,
}

impl Renewal {
    /// A word for a log field or a metric label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Kept(_) => "kept",
            Self::Unavailable(_) => "unavailable",
            Self::Over(_) => "over",
            Self::Unasked => "unasked",
            Self::Silent => "silent",
        }
    }

    /// The reason, for the operator. `None` if there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Renewed | Self::Unasked | Self::Silent => None,
            Self::Kept(why) | Self::Unavailable(why) | Self::Over(why) => Some(why),
        }
    }
}

/// What its login says of a session that is due.
pub(super) enum Asked {
    /// It goes on, as this user, with this cookie.
    Renewed(Session, Authenticated, HeaderValue),
    /// The login can't decide now, and the session goes on as this user.
    Kept(Authenticated, LoginError),
    /// The login hasn't been able to decide for too long.
    Unavailable(LoginError),
    /// It is over, for this reason. It was revoked.
    Over(String),
    /// Only the browser can tell.
    Silent,
}

impl Asked {
    fn renewal(&self) -> Renewal {
        match self {
            Self::Renewed(..) => Renewal::Renewed,
            Self::Kept(_, why) => Renewal::Kept(why.to_string()),
            Self::Unavailable(why) => Renewal::Unavailable(why.to_string()),
            Self::Over(why) => Renewal::Over(why.clone()),
            Self::Silent => Renewal::Silent,
        }
    }
}

impl Gate {
    /// Asks its login about a session that is due, for a request or for something that lasts, and ends it if it is over.
    pub(super) async fn ask(&self, sessions: &Sessions, session: &Session, request: &Arc<AuthRequest>) -> Asked {
        let answer = match self.login_of(session) {
            Some(login) => sessions.ask_login(session, login, request).await,
            None => Err(LoginError::NotMine),
        };
        let asked = match answer.map(|renewed| (sessions.cookie_of(&renewed), renewed)) {
            Ok((Ok(cookie), renewed)) => match renewed.authenticated() {
                Some(user) => Asked::Renewed(renewed, user, cookie),
                None => Asked::Over("it has expired".to_owned()),
            },
            Ok((Err(why), _)) => Asked::Over(why.to_string()),
            Err(LoginError::Unauthenticated(why) | LoginError::Forbidden(why)) => Asked::Over(why),
            Err(LoginError::NotMine) => Asked::Silent,
            Err(why @ (LoginError::Unavailable(_) | LoginError::Failed(_) | LoginError::TurnedAway { .. })) => {
                match session.authenticated_though_due(PATIENCE) {
                    Some(user) => Asked::Kept(user, why),
                    None => Asked::Unavailable(why),
                }
            }
        };
        if let (Asked::Over(_), Some(list)) = (&asked, sessions.revocations()) {
            list.revoke(session);
        }
        count(session.authenticator(), &asked.renewal());
        asked
    }

    /// The login that started a session. `None` if it isn't on the chain.
    pub(super) fn login_of(&self, session: &Session) -> Option<&Login> {
        self.logins.iter().find(|login| login.name() == session.authenticator())
    }

    /// Decides about a request whose session is due.
    pub(super) async fn admit_due(&self, due: DueSession, request: &Arc<AuthRequest>) -> Admission {
        let DueSession { sessions, session } = due;
        let asked = self.ask(&sessions, &session, request).await;
        let renewal = Some(asked.renewal());
        match asked {
            Asked::Renewed(renewed, user, cookie) => Admission {
                renewal,
                set_cookie: Some(cookie),
                ..Admission::via_session(renewed, user)
            },
            Asked::Kept(user, _) => Admission {
                renewal,
                ..Admission::via_session(session, user)
            },
            Asked::Unavailable(why) => Admission {
                renewal,
                ..unavailable(session, &why)
            },
            Asked::Over(_) => Admission {
                renewal,
                ..self.admit_after(&sessions, request).await
            },
            Asked::Silent => self.silent(session, request).await,
        }
    }

    /// Decides about such a request as long as its login isn't asked.
    pub(super) async fn explain_due(&self, session: Session, request: &Arc<AuthRequest>) -> Admission {
        let asked = session.keep().is_some() && self.login_of(&session).is_some();
        match session.authenticated_until_its_end().filter(|_| asked) {
            Some(user) => Admission {
                renewal: Some(Renewal::Unasked),
                ..Admission::via_session(session, user)
            },
            None => self.silent(session, request).await,
        }
    }

    /// Leaves it to the caller to send the browser to the provider. The chain decides about the request.
    async fn silent(&self, session: Session, request: &Arc<AuthRequest>) -> Admission {
        Admission {
            renewal: Some(Renewal::Silent),
            session: Some(session),
            ..self.admit_by_chain(request, Some(SessionError::RenewalDue)).await
        }
    }

    /// The chain decides about a request whose session is over, which is removed.
    async fn admit_after(&self, sessions: &Sessions, request: &Arc<AuthRequest>) -> Admission {
        let admission = self.admit_by_chain(request, Some(SessionError::Revoked)).await;
        Admission {
            set_cookie: Some(admission.set_cookie.unwrap_or_else(|| sessions.clear())),
            ..admission
        }
    }
}

/// Refuses a request about which the login can't decide: never by the chain, which could send the user to a provider that is down.
fn unavailable(session: Session, why: &LoginError) -> Admission {
    let retry_after = match why {
        LoginError::TurnedAway { retry_after, .. } => *retry_after,
        _ => RETRY_AFTER,
    };
    let refusal = Refusal::Unavailable {
        role: Role::Login,
        retry_after: Some(retry_after),
    };
    Admission {
        decision: Decision {
            outcome: Outcome::Refuse(refusal),
            steps: Vec::new(),
        },
        via_session: false,
        session_error: Some(SessionError::RenewalDue),
        session: Some(session),
        renewal: None,
        set_cookie: None,
    }
}

fn count(authenticator: &str, renewal: &Renewal) {
    describe_counter!(
        "portcullis_session_renewals_total",
        "Requests and open WebSockets whose session was due to be renewed, by what came of it"
    );
    let labels = [
        ("authenticator", authenticator.to_owned()),
        ("result", renewal.label().to_owned()),
    ];
    counter!("portcullis_session_renewals_total", &labels).increment(1);
}
