//! The answers of providers to the callbacks of the last minute. A browser may send a callback twice, because of a double click or a
//! reload; a second exchange of its code would fail, and the provider might revoke what it gave for the first (RFC 6749, section
//! 4.1.2).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::future::Shared;
use portcullis::Arrival;
use portcullis::AuthRequest;
use portcullis::Login;
use portcullis::LoginError;
use portcullis::ResponseHeaders;
use portcullis::session::NoSession;
use portcullis::session::PendingFlow;
use portcullis::session::Session;
use portcullis::session::Sessions;

use super::silent::SilentFlows;

/// How long an answer is repeated.
const LIFE: Duration = Duration::from_secs(60);

/// The most answers. One has a session cookie, so some 5 KiB.
const MOST: u64 = 4096;

/// The exchanges of the last minute.
#[derive(Clone)]
pub(crate) struct Exchanges {
    /// By the state of their flow.
    answers: moka::sync::Cache<String, Shared<BoxFuture<'static, Finished>>>,
    /// The silent flows that may still come back.
    pub(super) silent: SilentFlows,
}

/// How an attempt has ended.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// Who has logged in, or why there is no session.
    pub(super) result: Result<LoggedIn, Unfinished>,
    /// How long the plugin took.
    pub(super) elapsed: Duration,
}

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub(super) struct LoggedIn {
    /// The user's name.
    pub(super) user: String,
    /// What the response gets, the session included.
    pub(super) headers: ResponseHeaders,
    /// Whether the session that the browser had goes on. If not, another one takes its place.
    pub(super) goes_on: bool,
}

/// Why an attempt has ended without a session.
#[derive(Clone, Debug)]
pub(super) enum Unfinished {
    /// The login gave none.
    Login(LoginError),
    /// The cookie can't be made.
    Session(NoSession),
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        let answers = moka::sync::Cache::builder();
        Self {
            answers: answers.max_capacity(MOST).time_to_live(LIFE).build(),
            silent: SilentFlows::new(),
        }
    }

    /// Asks the login once for each flow. Returns the answer, and whether it is this callback that asked. `renewed` is the session
    /// that a silent flow renews, with its id, its beginning and its end, if it is still that user's. `None` if a new one begins.
    ///
    /// The exchange goes on if the client is gone: its next try gets the answer.
    pub(super) async fn finish(
        &self,
        login: &Login,
        sessions: &Arc<Sessions>,
        request: AuthRequest,
        pending: PendingFlow,
        parameters: Vec<(String, String)>,
        renewed: Option<Session>,
    ) -> (Finished, bool) {
        let entry = self.answers.entry(pending.flow.state.clone()).or_insert_with(|| {
            let (login, sessions) = (login.clone(), Arc::clone(sessions));
            let asked = tokio::spawn(async move {
                let call = login.finish(&request, &pending.flow, &pending.memo, parameters).await;
                let result = call.result.map_err(Unfinished::Login).and_then(|arrival| {
                    let renewed = renewed.filter(|session| is_of(session, &arrival));
                    let cookie = match &renewed {
                        Some(session) => sessions.renew(session, &arrival),
                        None => sessions.start(&arrival),
                    };
                    let cookie = cookie.map_err(Unfinished::Session)?;
                    Ok(LoggedIn {
                        user: arrival.identity().name().to_owned(),
                        headers: ResponseHeaders::of_arrival(&arrival, cookie),
                        goes_on: renewed.is_some(),
                    })
                });
                Finished {
                    result,
                    elapsed: call.elapsed,
                }
            });
            asked
                .map(|asked| asked.unwrap_or_else(|_| Finished::panicked()))
                .boxed()
                .shared()
        });
        let is_first = entry.is_fresh();
        (entry.into_value().await, is_first)
    }
}

/// Whether somebody comes back who has this session.
fn is_of(session: &Session, arrival: &Arrival) -> bool {
    session.authenticator() == arrival.authenticated().authenticator()
        && session.identity().name() == arrival.identity().name()
}

impl Finished {
    fn panicked() -> Self {
        Self {
            result: Err(Unfinished::Login(LoginError::Failed("the gateway failed".to_owned()))),
            elapsed: Duration::ZERO,
        }
    }
}

impl fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchanges({})", self.answers.entry_count())
    }
}
