//! A session that has admitted something that lasts longer than its request, such as a WebSocket. What it has admitted ends with it,
//! although the browser sends no request meanwhile.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::Method;
use http::uri::Scheme;
use tokio::sync::watch;

use super::Gate;
use super::renewal::Asked;
use crate::decision::Identity;
use crate::login::Login;
use crate::request::AuthRequest;
use crate::session::Session;
use crate::session::SessionEnd;
use crate::session::SessionError;
use crate::session::Sessions;

/// How often the clock is looked at, which may be set meanwhile, and how soon a login that couldn't decide is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A session that has admitted a connection.
#[derive(Clone, Debug)]
pub struct Standing {
    session: Session,
    /// Whose limits of the rate count.
    client_address: Option<IpAddr>,
    /// The id of the request in log lines.
    id: Option<String>,
}

impl Standing {
    /// The session that has admitted this request.
    pub fn new(session: &Session, request: &AuthRequest) -> Self {
        Self {
            session: session.clone(),
            client_address: request.client_address,
            id: request.id.clone(),
        }
    }

    /// The session as it was for the request.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Waits until what the session has admitted must end, and says why, for the operator: the session was revoked, it has reached its
    /// end, its authenticator has changed or is gone, its login says that it is over, or its user has another name, other groups or another
    /// role than those by which the connection was admitted. It needn't be used meanwhile.
    ///
    /// The login is asked whenever the session is due, as for a request, if to ask spends nothing
    /// ([`Manifest::idempotent_renewal`](crate::Manifest::idempotent_renewal)): the browser doesn't get what the login keeps next. If
    /// only the browser can tell, the connection goes on. A login that can't decide ends it after five minutes, when a request would be
    /// refused, too; such a session isn't revoked.
    ///
    /// The gate is that of the moment, and may change with the configuration. Its chain needs all authenticators that start sessions.
    pub async fn over(&self, mut gates: watch::Receiver<Gate>) -> String {
        let mut session = self.session.clone();
        let mut only_the_browser_can_tell = false;
        let mut is_told = false;
        loop {
            let gate = gates.borrow_and_update().clone();
            let Some(sessions) = gate.sessions() else {
                return "sessions are disabled".to_owned();
            };
            session = match sessions.again(&session, gate.chain()) {
                Some(session) => session,
                None => return "its authenticator has changed, is disabled, or isn't configured any more".to_owned(),
            };
            // A request may have renewed it.
            session = sessions.newest(&session).unwrap_or(session);
            if !is_same(self.session.identity(), session.identity()) {
                return "its user has another name, other groups or another role now".to_owned();
            }
            let end = sessions.end_of(&session);
            if session.is_due() && !only_the_browser_can_tell && gate.may_ask(&session) {
                match before(&end, self.ask(&gate, sessions, &session)).await {
                    Err(why) => return why.to_string(),
                    Ok(Asked::Renewed(renewed, ..)) => {
                        session = renewed;
                        is_told = false;
                        continue;
                    }
                    Ok(Asked::Kept(_, why)) => {
                        if !std::mem::replace(&mut is_told, true) {
                            tracing::warn!(
                                request_id = self.id,
                                login = session.authenticator(),
                                why = %why.to_string().escape_debug(),
                                "a login could not say whether the session of an open connection goes on"
                            );
                        }
                    }
                    Ok(Asked::Unavailable(why)) => return why.to_string(),
                    Ok(Asked::Over(why)) => return why,
                    Ok(Asked::Silent) => only_the_browser_can_tell = true,
                }
            }
            let left = session.due_in().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            let changed = async {
                if gates.changed().await.is_err() {
                    // Its sender is gone, so the gate changes no more.
                    std::future::pending().await
                }
            };
            match before(&end, tokio::time::timeout(left, changed)).await {
                Err(why) => return why.to_string(),
                // Another version of the login may be able to tell.
                Ok(Ok(())) => only_the_browser_can_tell = false,
                Ok(Err(_)) => {}
            }
        }
    }

    /// Asks the login, which sees nothing of a request.
    async fn ask(&self, gate: &Gate, sessions: &Sessions, session: &Session) -> Asked {
        let request = AuthRequest {
            method: Method::GET,
            scheme: Scheme::HTTPS,
            authority: None,
            path: "/".to_owned(),
            query: None,
            headers: HeaderMap::new(),
            client_address: self.client_address,
            client_certificate: None,
            channel_binding: None,
            route: None,
            id: self.id.clone(),
        };
        gate.ask(sessions, session, &Arc::new(request)).await
    }
}

impl Gate {
    /// Whether a session's login may be asked although the browser sends no request.
    fn may_ask(&self, session: &Session) -> bool {
        session.keep().is_some() && self.login_of(session).is_some_and(Login::renews_idempotently)
    }
}

/// Whether what was decided about one of these holds for the other. Attributes may say what changes each time.
fn is_same(one: &Identity, other: &Identity) -> bool {
    one.name() == other.name() && one.groups() == other.groups() && one.admin() == other.admin()
}

/// What comes of this before the session ends. Otherwise the error says why it has ended.
async fn before<T>(end: &SessionEnd, future: impl Future<Output = T>) -> Result<T, SessionError> {
    tokio::select! {
        biased;
        why = end.reached() => Err(why),
        output = future => Ok(output),
    }
}
