//! A session that has admitted something that lasts, such as a WebSocket. Its login is asked about it when it is due, as for a request,
//! so that whoever has signed out at the provider is gone here, too.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use super::Sessions;
use super::sealed::Sealed;
use super::sealed::Time;
use crate::login::Login;
use crate::login::LoginError;
use crate::request::AuthRequest;

/// How often to look at what requests of the session have learnt, and for how long to wait for a login that can't decide.
///
/// A third of the time for which renewals are known, so that a cookie of before the last renewal is always renewed with what the login
/// kept last.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Who is asked about a session.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) sessions: Arc<Sessions>,
    pub(super) login: Login,
    /// What the session has admitted.
    pub(super) request: Arc<AuthRequest>,
}

/// What is known of a session.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) sealed: Sealed,
    /// Whether no browser may have the cookie of it, because no request has renewed it.
    is_ahead: bool,
    /// When its login is asked. `None` if only a browser can tell.
    ask_at: Option<Time>,
}

impl Known {
    pub(super) fn new(sealed: Sealed) -> Self {
        Self {
            ask_at: sealed.due,
            is_ahead: false,
            sealed,
        }
    }
}

impl Standing {
    /// Waits until its login says that the session is over, and returns its reason. Begin again with the same `known` if this was
    /// dropped.
    pub(super) async fn over(&self, known: &mut Known) -> String {
        loop {
            let Some(ask_at) = known.ask_at else {
                return std::future::pending().await;
            };
            let left = ask_at.left(Time::now()).unwrap_or_default();
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            if let Some(newest) = self.sessions.renewals.newest(&known.sealed) {
                *known = Known::new(newest);
            } else if known.is_ahead {
                self.sessions.renewals.keep(&known.sealed);
            }
            if known.ask_at.is_none_or(|ask_at| ask_at.left(Time::now()).is_some()) {
                continue;
            }
            let session = Session {
                sealed: known.sealed.clone(),
                now: Time::now(),
            };
            match self.sessions.ask_login(&session, &self.login, &self.request).await {
                Ok(renewed) => {
                    *known = Known {
                        is_ahead: true,
                        ..Known::new(renewed.sealed)
                    };
                }
                Err(LoginError::Unauthenticated(why) | LoginError::Forbidden(why)) => {
                    if let Some(list) = self.sessions.revocations() {
                        list.revoke(&session);
                    }
                    return why;
                }
                Err(LoginError::NotMine) => known.ask_at = None,
                Err(LoginError::Unavailable(_) | LoginError::Failed(_) | LoginError::TurnedAway { .. }) => {
                    known.ask_at = Time::now().after(LOOK_AGAIN);
                }
            }
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}
