//! What becomes of a request whose session is due: its login is asked, and the session goes on, ends, or waits for a provider that is
//! down.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use metrics::describe_counter;

use super::Admission;
use super::DueSession;
use super::Gate;
use super::RETRY_AFTER;
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

impl Gate {
    /// Decides about a request whose session is due.
    pub(super) async fn admit_due(&self, due: DueSession, request: &Arc<AuthRequest>) -> Admission {
        let DueSession { sessions, session } = due;
        let sessions = sessions.as_ref();
        let name = session.authenticator().to_owned();
        let login = self.logins.iter().find(|login| login.name() == name);
        let answer = match login {
            Some(login) => sessions.ask_login(&session, login, request).await,
            None => Err(LoginError::NotMine),
        };
        let admission = match answer.map(|renewed| (sessions.cookie_of(&renewed), renewed)) {
            Ok((Ok(cookie), renewed)) => match renewed.authenticated() {
                Some(user) => Admission {
                    renewal: Some(Renewal::Renewed),
                    set_cookie: Some(cookie),
                    ..Admission::via_session(renewed, user)
                },
                None => {
                    self.over(sessions, &session, request, "it has expired".to_owned())
                        .await
                }
            },
            Ok((Err(why), _)) => self.over(sessions, &session, request, why.to_string()).await,
            Err(LoginError::Unauthenticated(why) | LoginError::Forbidden(why)) => {
                self.over(sessions, &session, request, why).await
            }
            Err(LoginError::NotMine) => self.silent(session, request).await,
            Err(why @ (LoginError::Unavailable(_) | LoginError::Failed(_) | LoginError::TurnedAway { .. })) => {
                undecided(session, &why)
            }
        };
        count(&name, admission.renewal.as_ref());
        admission
    }

    /// Decides about such a request as long as its login isn't asked.
    pub(super) async fn explain_due(&self, session: Session, request: &Arc<AuthRequest>) -> Admission {
        let is_own = |login: &Login| login.name() == session.authenticator();
        let asked = session.keep().is_some() && self.logins.iter().any(is_own);
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

    /// Ends a session. The chain decides about the request.
    async fn over(&self, sessions: &Sessions, session: &Session, request: &Arc<AuthRequest>, why: String) -> Admission {
        if let Some(list) = sessions.revocations() {
            list.revoke(session);
        }
        let admission = self.admit_by_chain(request, Some(SessionError::Revoked)).await;
        Admission {
            renewal: Some(Renewal::Over(why)),
            set_cookie: Some(admission.set_cookie.unwrap_or_else(|| sessions.clear())),
            ..admission
        }
    }
}

/// Decides about a request if the login can't: never by the chain, which could send the user to a provider that is down.
fn undecided(session: Session, why: &LoginError) -> Admission {
    let text = why.to_string();
    if let Some(user) = session.authenticated_though_due(PATIENCE) {
        return Admission {
            renewal: Some(Renewal::Kept(text)),
            ..Admission::via_session(session, user)
        };
    }
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
        renewal: Some(Renewal::Unavailable(text)),
        set_cookie: None,
    }
}

fn count(authenticator: &str, renewal: Option<&Renewal>) {
    describe_counter!(
        "portcullis_session_renewals_total",
        "Requests whose session was due to be renewed, by what came of it"
    );
    let result = renewal.map_or("none", Renewal::label);
    counter!("portcullis_session_renewals_total", "authenticator" => authenticator.to_owned(), "result" => result)
        .increment(1);
}
