//! Sessions in a sealed cookie, which names the user, the authenticator and the expiry. Nothing is stored on the server but what
//! was revoked, so that all gateways with the same keys share their sessions.

mod cookie;
mod end;
mod flow;
mod key;
pub(crate) mod meters;
mod renewal;
mod revocation;
mod ring;
mod scope;
mod sealed;
mod sealed_store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderValue;

use crate::chain::Chain;
use crate::decision::Authenticated;
use crate::decision::Identity;
use crate::decision::is_grpc;
use crate::login::Arrival;
use crate::request::AuthRequest;

use self::renewal::Renewals;
use self::sealed::HandleDigest;
use self::sealed::Sealed;
use self::sealed::Time;

pub use self::cookie::Options;
pub use self::cookie::SameSitePolicy;
pub use self::end::SessionEnd;
pub use self::flow::Flows;
pub use self::flow::PendingFlow;
pub use self::flow::UnusableFlow;
pub use self::key::Key;
pub use self::key::KeyError;
pub use self::revocation::OperatorRevocations;
pub use self::revocation::Revocation;
pub use self::revocation::RevocationSink;
pub use self::revocation::Revocations;
pub use self::ring::KeyRing;
pub use self::scope::RevocationScope;
pub use self::sealed::MalformedId;
pub use self::sealed::SessionId;
pub use self::sealed_store::SealedStore;

/// The longest sealed value, in bytes. Browsers drop a cookie of more than 4096 bytes, attributes included.
const MAX_COOKIE: usize = 3800;

/// After how long such a user is told again, and how many are known.
const TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);
const MAX_TOLD: u64 = 1024;

/// Seals and opens session cookies.
#[derive(Debug)]
pub struct Sessions {
    keys: Arc<KeyRing>,
    options: Options,
    outlive_changes: bool,
    revocations: Option<Arc<Revocations>>,
    renewals: Arc<Renewals>,
    /// The users of whom the log said within the last hour that their identity doesn't fit into a cookie.
    told: moka::sync::Cache<String, ()>,
}

/// The session of a request.
#[derive(Clone)]
pub struct Session {
    sealed: Sealed,
    /// When it was read.
    now: Time,
}

impl Session {
    /// Identifies it through all of its renewals.
    pub fn id(&self) -> &SessionId {
        &self.sealed.id
    }

    /// The user.
    pub fn identity(&self) -> &Identity {
        &self.sealed.identity
    }

    /// The name of the authenticator that started it.
    pub fn authenticator(&self) -> &str {
        &self.sealed.authenticator
    }

    /// When it began.
    pub fn begun(&self) -> SystemTime {
        self.sealed.begun.into()
    }

    /// When it is over at the latest.
    pub fn ends(&self) -> SystemTime {
        self.sealed.ends.into()
    }

    /// Whether its login must be asked before it is accepted again: [`Login::renew`](crate::Login::renew).
    pub fn is_due(&self) -> bool {
        self.sealed.due.is_some_and(|due| due.left(self.now).is_none())
    }

    /// After which time it is due. `None` if it is, or if credentials started it.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        self.sealed.due?.left(self.now)
    }

    /// For how long it has been due. `None` if it isn't.
    pub fn due_for(&self) -> Option<Duration> {
        let due = self.sealed.due.filter(|_| self.is_due())?;
        Some(due.ago(self.now))
    }

    /// Whether no request has been admitted by it since a browser came back with it from its login. If such a session is due, the way
    /// back takes longer than the login lets it go on, or the clocks of two machines differ: another flow would end in the same way.
    pub fn is_unused(&self) -> bool {
        self.sealed.unused
    }

    /// When its login must be asked. `None` if credentials started it.
    pub fn renew_at(&self) -> Option<SystemTime> {
        self.sealed.due.map(SystemTime::from)
    }

    /// What its login keeps with it. It may be a secret.
    pub fn keep(&self) -> Option<&[u8]> {
        self.sealed.keep.as_deref()
    }

    /// The user as a decision about this request. `None` if the session is due.
    pub(crate) fn authenticated(&self) -> Option<Authenticated> {
        let until = self
            .sealed
            .due
            .map_or(self.sealed.ends, |due| due.min(self.sealed.ends));
        self.authenticated_until(until)
    }

    /// The user as a decision about this request, if the session is due for less than this time and isn't over.
    pub(crate) fn authenticated_though_due(&self, grace: Duration) -> Option<Authenticated> {
        self.authenticated_until(self.sealed.due?.after(grace)?.min(self.sealed.ends))
    }

    /// The user as a decision about this request, even if the session is due.
    pub(crate) fn authenticated_until_its_end(&self) -> Option<Authenticated> {
        self.authenticated_until(self.sealed.ends)
    }

    fn authenticated_until(&self, until: Time) -> Option<Authenticated> {
        Some(Authenticated {
            identity: Arc::clone(&self.sealed.identity),
            authenticator: Arc::clone(&self.sealed.authenticator),
            fingerprint: Arc::clone(&self.sealed.fingerprint),
            valid_for: Some(until.left(self.now)?),
            response_headers: HeaderMap::new(),
        })
    }
}

impl fmt::Debug for Session {
    /// Omits what its login keeps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", self.id())
            .field("user", &self.identity().name())
            .field("authenticator", &self.authenticator())
            .finish_non_exhaustive()
    }
}

/// Why a session isn't started or renewed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSession {
    /// The user with the groups and attributes, and what the login keeps, don't fit into one cookie. Browsers drop a longer one,
    /// and the user would have to log in again and again.
    #[error(
        "the user {user:?} with {groups} groups and what the login keeps need {bytes} bytes, and a cookie has room for \
         {MAX_COOKIE}"
    )]
    TooLarge {
        /// The user's name.
        user: String,
        /// How many groups the user has.
        groups: usize,
        /// The size of the sealed cookie.
        bytes: usize,
    },
    /// The arrival is one of another authenticator.
    #[error("the session belongs to another authenticator")]
    OtherAuthenticator,
    /// The session would be over at once.
    #[error("the session would be over at once")]
    Over,
    /// The system has no random numbers, or the cookie can't be written.
    #[error("the session can't be sealed")]
    Unsealed,
}

/// Why a request with a session cookie has no session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SessionError {
    /// The route has another chain: the authenticator that started the session isn't on it, or its component or settings
    /// have changed since, or it is disabled.
    Authenticator,
    /// It has expired.
    Expired,
    /// It wasn't used for too long.
    Idle,
    /// Its login must be asked whether it still holds.
    RenewalDue,
    /// It was ended, by its user or by the provider.
    Revoked,
    /// It wasn't sealed with one of the keys, or was changed.
    Seal,
    /// The request has several session cookies.
    Several,
    /// It isn't known whether it was ended: see [`Revocations::set_uncertain`].
    Uncertain,
}

impl SessionError {
    /// A word for a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Authenticator => "authenticator",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::RenewalDue => "renewal_due",
            Self::Revoked => "revoked",
            Self::Seal => "seal",
            Self::Several => "several",
            Self::Uncertain => "uncertain",
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Authenticator => "its authenticator isn't on this route, is disabled, or has changed since",
            Self::Expired => "it has expired",
            Self::Idle => "it wasn't used for too long",
            Self::RenewalDue => "its login must be asked whether it still holds",
            Self::Revoked => "it was ended",
            Self::Seal => "it wasn't sealed with one of the keys, or was changed",
            Self::Several => "there are several session cookies",
            Self::Uncertain => {
                "it isn't known whether it was ended, because the shared state has been lost for too long"
            }
        })
    }
}

impl std::error::Error for SessionError {}

impl Sessions {
    /// Sessions that are sealed with these keys.
    pub fn new(keys: impl Into<Arc<KeyRing>>, options: Options) -> Self {
        let told = moka::sync::Cache::builder();
        let told = told.max_capacity(MAX_TOLD).time_to_live(TOLD_AGAIN).build();
        Self {
            keys: keys.into(),
            options,
            outlive_changes: false,
            revocations: None,
            renewals: Arc::default(),
            told,
        }
    }

    /// Accepts sessions also after the component or the settings of their authenticator have changed. Default: they end
    /// then, because the authenticator as it is now might not let the user in.
    #[must_use]
    pub fn outlive_changes(self) -> Self {
        Self {
            outlive_changes: true,
            ..self
        }
    }

    /// Accepts no session that is in this list. Default: a session lasts until its end.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        Self {
            revocations: Some(revocations),
            ..self
        }
    }

    /// The sessions that are over before their end. `None` if there is no such list.
    pub fn revocations(&self) -> Option<&Arc<Revocations>> {
        self.revocations.as_ref()
    }

    /// Knows the renewals of these other sessions too: an application that makes new [`Sessions`] while requests of the old ones
    /// run must not ask a login twice about one session.
    #[must_use]
    pub fn with_renewals_of(self, other: &Self) -> Self {
        Self {
            renewals: Arc::clone(&other.renewals),
            ..self
        }
    }

    /// The name of the cookie in requests and responses, with the prefix `__Host-` if it has it.
    pub fn cookie_name(&self) -> &str {
        self.options.name()
    }

    /// A `Set-Cookie` value that ends the session.
    pub fn clear(&self) -> HeaderValue {
        self.options.clear()
    }

    /// The user of the request's session. Returns `None` if the request has no session cookie.
    ///
    /// # Errors
    ///
    /// Returns why a session cookie isn't accepted.
    pub fn open(&self, request: &AuthRequest, chain: &Chain) -> Result<Option<Authenticated>, SessionError> {
        let Some(session) = self.read(&request.headers, chain)? else {
            return Ok(None);
        };
        session.authenticated().map(Some).ok_or(SessionError::RenewalDue)
    }

    /// The session in a request's header fields, even if it must be renewed before it is accepted: see [`Session::is_due`].
    /// Returns `None` if they have no session cookie, or one of another version of this program.
    ///
    /// # Errors
    ///
    /// Returns why a session cookie isn't accepted.
    pub fn read(&self, headers: &HeaderMap, chain: &Chain) -> Result<Option<Session>, SessionError> {
        let Some(cookie) = self.options.read(headers)? else {
            return Ok(None);
        };
        if KeyRing::is_of_other_version(cookie) {
            return Ok(None);
        }
        let opened = self.keys.open(self.cookie_name(), cookie);
        let sealed = opened
            .and_then(|opened| Sealed::parse(&opened))
            .ok_or(SessionError::Seal)?;
        let now = Time::now();
        let is_too_old = sealed.begun.ago(now) >= self.options.max_age();
        if is_too_old || sealed.ends.left(now).is_none() {
            return Err(SessionError::Expired);
        }
        if self.options.idle_age().is_some_and(|idle| sealed.seen.ago(now) >= idle) {
            return Err(SessionError::Idle);
        }
        if self.is_revoked(&sealed) {
            return Err(SessionError::Revoked);
        }
        if !self.is_of(&sealed, chain) {
            return Err(SessionError::Authenticator);
        }
        match self.revocations.as_ref().is_some_and(|list| list.is_uncertain()) {
            true => Err(SessionError::Uncertain),
            false => Ok(Some(Session { sealed, now })),
        }
    }

    /// Whether the authenticator that started a session is on this chain, as it was then.
    fn is_of(&self, sealed: &Sealed, chain: &Chain) -> bool {
        chain.authenticators().iter().any(|authenticator| {
            let is_valid = |own| self.outlive_changes || own == &sealed.fingerprint;
            authenticator.name() == &*sealed.authenticator && authenticator.fingerprint().is_some_and(is_valid)
        })
    }

    /// The session as it is now, which was read some time ago. `None` if the authenticator that started it isn't on this chain any
    /// more, or has changed.
    pub(crate) fn again(&self, session: &Session, chain: &Chain) -> Option<Session> {
        self.is_of(&session.sealed, chain).then(|| Session {
            sealed: session.sealed.clone(),
            now: Time::now(),
        })
    }

    /// The `Set-Cookie` value of a new session for a user whose credentials were checked just now.
    ///
    /// Returns `None` if the authenticator doesn't allow its decision to be reused, or if the cookie would be too long
    /// for browsers. Such a user is authenticated with every request.
    pub fn seal(&self, authenticated: &Authenticated) -> Option<HeaderValue> {
        let lifetime = authenticated.valid_for?.min(self.options.max_age());
        let sealed = self.begin(authenticated, lifetime).ok()?;
        match self.written(&sealed, sealed.begun) {
            Ok(cookie) => {
                meters::begun(&sealed.authenticator);
                Some(cookie)
            }
            Err(why) => {
                if let NoSession::TooLarge { user, groups, bytes } = why
                    && self.told.entry(user.clone()).or_insert(()).is_fresh()
                {
                    tracing::info!(
                        user = %user.escape_debug(),
                        groups,
                        bytes,
                        "a user gets no session, because the identity is too large for a cookie: every request is authenticated"
                    );
                }
                None
            }
        }
    }

    /// The `Set-Cookie` value of a new session for somebody who has logged in. Whatever session the browser had is replaced by it:
    /// revoke that one.
    ///
    /// # Errors
    ///
    /// Returns why there is no session. The user can't go on then, and should be told.
    pub fn start(&self, arrival: &Arrival) -> Result<HeaderValue, NoSession> {
        let mut sealed = self.begin(&arrival.authenticated, self.options.max_age())?;
        let now = sealed.begun;
        arrive(&mut sealed, arrival, now)?;
        sealed.unused = true;
        let cookie = self.written(&sealed, now)?;
        meters::begun(&sealed.authenticator);
        Ok(cookie)
    }

    /// The `Set-Cookie` value of a session that a browser has asked its login about. Its id, its beginning and its end stay. For
    /// a minute, requests that still have the older cookie are admitted by the renewed session, too.
    ///
    /// # Errors
    ///
    /// Returns why the session can't go on.
    pub fn renew(&self, session: &Session, arrival: &Arrival) -> Result<HeaderValue, NoSession> {
        let sealed = Sealed {
            unused: true,
            ..renewed(&session.sealed, arrival)?
        };
        let cookie = self.written(&sealed, sealed.seen)?;
        self.renewals.keep(&sealed);
        Ok(cookie)
    }

    /// The `Set-Cookie` value of a session as it is.
    ///
    /// # Errors
    ///
    /// Returns an error if it doesn't fit into a cookie, or is over.
    pub fn cookie_of(&self, session: &Session) -> Result<HeaderValue, NoSession> {
        self.written(&session.sealed, session.now)
    }

    /// When a session ends unless it is used again, or at the latest.
    pub fn ends_unused(&self, session: &Session) -> SystemTime {
        let idle = self.options.idle_age().and_then(|idle| session.sealed.seen.after(idle));
        let ends = self.last_end(&session.sealed);
        idle.map_or(ends, |idle| idle.min(ends)).into()
    }

    /// Whether the client of a request that was authenticated by its credentials can use a session. It can't if its calls are gRPC,
    /// whose clients keep no cookies, or if a page of another site sent the request and browsers keep no cookie of the answer
    /// (RFC 6265bis, section 5.7, step 11). Of other programs it isn't known.
    pub(crate) fn can_be_kept_by(&self, headers: &HeaderMap) -> bool {
        let is = |name, value: &str| headers.get(name).is_some_and(|field| field == value);
        let is_from_elsewhere = is(SEC_FETCH_SITE, "cross-site") && !is(SEC_FETCH_MODE, "navigate");
        !is_grpc(headers) && (!is_from_elsewhere || self.options.is_sent_across_sites())
    }

    /// The `Set-Cookie` value that says that a session was used. `None` if the cookie says so already: sessions that end by not being
    /// used are said to be used again after a quarter of that time, and others once.
    pub fn touch(&self, session: &Session) -> Option<HeaderValue> {
        let is_long_ago = |idle| session.sealed.seen.ago(session.now) >= idle / 4;
        if !session.sealed.unused && !self.options.idle_age().is_some_and(is_long_ago) {
            return None;
        }
        let sealed = Sealed {
            seen: session.now,
            unused: false,
            ..session.sealed.clone()
        };
        self.written(&sealed, session.now).ok()
    }

    fn is_revoked(&self, sealed: &Sealed) -> bool {
        let list = self.revocations.as_deref();
        list.is_some_and(|list| list.end(sealed))
    }

    /// When a session is over, however much it is used.
    fn last_end(&self, sealed: &Sealed) -> Time {
        let oldest = sealed.begun.after(self.options.max_age());
        oldest.map_or(sealed.ends, |oldest| oldest.min(sealed.ends))
    }

    fn begin(&self, authenticated: &Authenticated, lifetime: Duration) -> Result<Sealed, NoSession> {
        let now = Time::now();
        let ends = now.after(lifetime).ok_or(NoSession::Over)?;
        Ok(Sealed::new(
            SessionId::new().ok_or(NoSession::Unsealed)?,
            Arc::clone(&authenticated.identity),
            (
                Arc::clone(&authenticated.authenticator),
                Arc::clone(&authenticated.fingerprint),
            ),
            now,
            ends,
        ))
    }

    fn written(&self, sealed: &Sealed, now: Time) -> Result<HeaderValue, NoSession> {
        let bytes = sealed.to_bytes().ok_or(NoSession::Unsealed)?;
        let text = self.keys.seal(self.cookie_name(), &bytes).ok_or(NoSession::Unsealed)?;
        if text.len() > MAX_COOKIE {
            return Err(NoSession::TooLarge {
                user: sealed.identity.name().to_owned(),
                groups: sealed.identity.groups().len(),
                bytes: text.len(),
            });
        }
        let left = sealed.ends.left(now).ok_or(NoSession::Over)?;
        let left = self.options.idle_age().map_or(left, |idle| left.min(idle));
        self.options.set(&text, left).ok_or(NoSession::Unsealed)
    }
}

/// W3C Fetch Metadata: which page sent a request, and what for.
const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_MODE: &str = "sec-fetch-mode";

/// A session of which its login says that it goes on.
fn renewed(sealed: &Sealed, arrival: &Arrival) -> Result<Sealed, NoSession> {
    if arrival.authenticated.authenticator != sealed.authenticator {
        return Err(NoSession::OtherAuthenticator);
    }
    let now = Time::now();
    let mut sealed = Sealed {
        identity: Arc::clone(&arrival.authenticated.identity),
        fingerprint: Arc::clone(&arrival.authenticated.fingerprint),
        seen: now,
        unused: false,
        ..sealed.clone()
    };
    arrive(&mut sealed, arrival, now)?;
    Ok(sealed)
}

/// Takes over what a login says of its session now.
fn arrive(sealed: &mut Sealed, arrival: &Arrival, now: Time) -> Result<(), NoSession> {
    let digest = |handle| HandleDigest::of(&sealed.authenticator, handle);
    sealed.handles = arrival.handles.iter().map(digest).collect();
    sealed.keep.clone_from(&arrival.keep);
    sealed.due = Some(now.after(arrival.renew_after).ok_or(NoSession::Over)?);
    Ok(())
}

#[cfg(test)]
mod tests;
