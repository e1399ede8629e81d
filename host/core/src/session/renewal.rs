//! Sessions whose login is asked whether they still hold. Requests of one session share one call, and the answer is kept for a
//! minute, so that requests that were sent before it came aren't refused, and no refresh token is used twice. What a browser brings
//! back from a silent flow is such an answer, too.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::future::Shared;
use moka::sync::Cache;

use super::Session;
use super::Sessions;
use super::renewed;
use super::sealed::Sealed;
use super::sealed::SessionId;
use super::sealed::Time;
use crate::lazy_cache::LazyCache;
use crate::login::Login;
use crate::login::LoginError;
use crate::request::AuthRequest;

/// For how long a renewed session is given to whoever still sends the old cookie.
const GRACE: Duration = Duration::from_secs(60);

/// For how long a login that can't decide isn't asked again about the same session.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest time for which a request waits. The call goes on, for the next one.
const WAIT: Duration = Duration::from_secs(15);

/// How long an answer is known at most, the call included, and of how many sessions. Each has 4 KiB at most.
const MAX_AGE: Duration = Duration::from_secs(180);
const MAX_SESSIONS: u64 = 16_384;

/// The renewals that run, and the answers of the last minute.
pub(super) struct Renewals(LazyCache<SessionId, Flight>);

/// A call, which goes on when those who wait for it are gone.
type Flight = Shared<BoxFuture<'static, Arc<Answer>>>;

/// What came of a call.
struct Answer {
    result: Result<Sealed, LoginError>,
    /// Until when nobody asks again.
    until: Time,
}

impl Default for Renewals {
    fn default() -> Self {
        Self(LazyCache::new(|| {
            Cache::builder().max_capacity(MAX_SESSIONS).time_to_live(MAX_AGE)
        }))
    }
}

impl fmt::Debug for Renewals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewals")
    }
}

impl Renewals {
    async fn ask(&self, sealed: &Sealed, login: &Login, request: &Arc<AuthRequest>) -> Result<Sealed, LoginError> {
        let now = Time::now();
        if let Some(renewed) = self.renewed(sealed, now) {
            return Ok(renewed);
        }
        // A cookie of before the last renewal: what the login kept then is what it knows now.
        let newest = self.newest(sealed).unwrap_or_else(|| sealed.clone());
        let Some(keep) = newest.keep.clone() else {
            return Err(LoginError::NotMine);
        };
        let entry = self.0.open().entry(sealed.id);
        let start = || flight(newest, keep, login.clone(), Arc::clone(request));
        let flight = entry.or_insert_with_if(start, |flight| flight.peek().is_some_and(|answer| answer.is_old(now)));
        let answer = tokio::time::timeout(WAIT, flight.into_value()).await;
        match answer {
            Ok(answer) => answer.result.clone(),
            Err(_) => Err(LoginError::Failed(format!("it took longer than {} s", WAIT.as_secs()))),
        }
    }

    /// The session as it was renewed within the last minute. `None` if it wasn't, or if it is due again.
    fn renewed(&self, sealed: &Sealed, now: Time) -> Option<Sealed> {
        self.later(sealed, |answer| !answer.is_old(now))
    }

    /// The session as it was renewed last, within the last three minutes. `None` if it wasn't.
    fn newest(&self, sealed: &Sealed) -> Option<Sealed> {
        self.later(sealed, |_| true)
    }

    /// The renewed session of an answer that counts, if it is due later than this one.
    fn later(&self, sealed: &Sealed, counts: impl FnOnce(&Answer) -> bool) -> Option<Sealed> {
        let flight = self.0.get(&sealed.id)?;
        let renewed = flight.peek().filter(|answer| counts(answer))?.result.as_ref().ok()?;
        (renewed.due > sealed.due).then(|| renewed.clone())
    }

    /// Gives a session that was renewed elsewhere to whoever still sends its older cookie.
    pub(super) fn keep(&self, renewed: &Sealed) {
        let answer = std::future::ready(Answer::new(Ok(renewed.clone())));
        let flight: Flight = answer.boxed().shared();
        // Only a future that was polled has an answer to be looked at.
        drop(flight.clone().now_or_never());
        self.0.open().insert(renewed.id, flight);
    }
}

impl Answer {
    fn new(result: Result<Sealed, LoginError>) -> Arc<Self> {
        let pause = match &result {
            Ok(_) | Err(LoginError::Unauthenticated(_) | LoginError::Forbidden(_)) => GRACE,
            Err(
                LoginError::NotMine
                | LoginError::Unavailable(_)
                | LoginError::Failed(_)
                | LoginError::TurnedAway { .. },
            ) => PAUSE,
        };
        let now = Time::now();
        Arc::new(Self {
            result,
            until: now.after(pause).unwrap_or(now),
        })
    }

    /// Whether the login is to be asked again.
    fn is_old(&self, now: Time) -> bool {
        let due = self.result.as_ref().ok().and_then(|sealed| sealed.due);
        self.until <= now || due.is_some_and(|due| due <= now)
    }
}

/// Begins a call.
fn flight(sealed: Sealed, keep: Vec<u8>, login: Login, request: Arc<AuthRequest>) -> Flight {
    let call = tokio::spawn(async move {
        let arrival = login.renew(&request, &keep).await.result?;
        renewed(&sealed, &arrival).map_err(|why| LoginError::Failed(why.to_string()))
    });
    let answer = call.map(|ended| {
        let failed = |_| Err(LoginError::Failed("the call was given up".to_owned()));
        Answer::new(ended.unwrap_or_else(failed))
    });
    let flight = answer.boxed().shared();
    // Only a future that was polled to its end has an answer to be looked at, and all who wait may be gone by then.
    tokio::spawn(flight.clone());
    flight
}

impl Sessions {
    /// The session as it was renewed in this process within the last minute, for whoever still sends an older cookie of it. `None` if
    /// it wasn't renewed since, is due again, or is over.
    pub fn renewed_meanwhile(&self, session: &Session) -> Option<Session> {
        let now = Time::now();
        let sealed = self.renewals.renewed(&session.sealed, now)?;
        (!self.is_revoked(&sealed)).then_some(Session { sealed, now })
    }

    /// The session as it was renewed last, within the last three minutes, even if it is due again. `None` if it wasn't.
    pub(crate) fn newest(&self, session: &Session) -> Option<Session> {
        let sealed = self.renewals.newest(&session.sealed)?;
        Some(Session {
            sealed,
            now: Time::now(),
        })
    }

    /// Asks its login about a session that is due, for a request that is admitted by the answer. `not-mine` if only the browser can tell.
    pub(crate) async fn ask_login(
        &self,
        session: &Session,
        login: &Login,
        request: &Arc<AuthRequest>,
    ) -> Result<Session, LoginError> {
        let sealed = Sealed {
            unused: false,
            ..self.renewals.ask(&session.sealed, login, request).await?
        };
        if self.is_revoked(&sealed) {
            return Err(LoginError::Unauthenticated(
                "the session was ended meanwhile".to_owned(),
            ));
        }
        Ok(Session {
            sealed,
            now: Time::now(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Claims;
    use crate::session::SessionId;

    /// Otherwise a login that failed once would not be asked again, and a cookie that was renewed would be good for too long.
    #[test]
    fn an_answer_is_used_for_a_bounded_time() {
        let claims = Claims {
            name: "alice".to_owned(),
            ..Claims::default()
        };
        let of = ("hub".into(), "f".into());
        let now = Time::now();
        let mut sealed = Sealed::new(
            SessionId([1; 16]),
            Arc::new(claims.try_into().unwrap()),
            of,
            now,
            Time(u64::MAX),
        );
        sealed.due = Some(Time(now.0 + 3_600_000));
        let mut due_soon = sealed.clone();
        due_soon.due = Some(Time(now.0 + 1_000));
        for (result, seconds) in [
            (Ok(sealed), 60),
            (Ok(due_soon), 1),
            (Err(LoginError::Unauthenticated(String::new())), 60),
            (Err(LoginError::Forbidden(String::new())), 60),
            (Err(LoginError::NotMine), 5),
            (Err(LoginError::Unavailable(String::new())), 5),
            (Err(LoginError::Failed(String::new())), 5),
        ] {
            let answer = Answer::new(result);
            let later = |milliseconds: u64| Time(now.0 + milliseconds);
            assert!(!answer.is_old(later(seconds * 1000 - 500)), "{:?}", answer.result);
            // It was made some moments after `now`.
            assert!(answer.is_old(later(seconds * 1000 + 10_000)), "{:?}", answer.result);
        }
    }
}
