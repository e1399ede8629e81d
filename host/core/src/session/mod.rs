//! Sessions in a sealed cookie, which names the user, the authenticator and the expiry. Nothing is stored on the
//! server, so that all gateways with the same keys share their sessions.

mod cookie;
mod key;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http::HeaderMap;
use http::HeaderValue;
use serde::Deserialize;
use serde::Serialize;

use crate::chain::Chain;
use crate::decision::Authenticated;
use crate::decision::Identity;
use crate::request::AuthRequest;

pub use self::cookie::Options;
pub use self::cookie::SameSitePolicy;
pub use self::key::Key;
pub use self::key::KeyError;
pub use self::key::KeyRing;

/// The longest sealed value, in bytes. Browsers drop a cookie of more than 4096 bytes, attributes included.
const MAX_COOKIE: usize = 3800;

/// After how long such a user is told again, and how many are known.
const TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);
const MAX_TOLD: u64 = 1024;

/// Seals and opens session cookies.
#[derive(Debug)]
pub struct Sessions {
    keys: KeyRing,
    options: Options,
    outlive_changes: bool,
    /// The users of whom the log said within the last hour that their identity doesn't fit into a cookie.
    told: moka::sync::Cache<String, ()>,
}

/// The content of a cookie. The names are short to keep the cookie small.
#[derive(Deserialize, Serialize)]
struct Sealed {
    #[serde(rename = "u")]
    identity: Arc<Identity>,
    #[serde(rename = "a")]
    authenticator: Arc<str>,
    #[serde(rename = "f")]
    fingerprint: Arc<str>,
    #[serde(rename = "e")]
    expires: Expiry,
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
    /// It wasn't sealed with one of the keys, or was changed.
    Seal,
    /// The request has several session cookies.
    Several,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Authenticator => "its authenticator isn't on this route, is disabled, or has changed since",
            Self::Expired => "it has expired",
            Self::Seal => "it wasn't sealed with one of the keys, or was changed",
            Self::Several => "there are several session cookies",
        })
    }
}

impl std::error::Error for SessionError {}

impl Sessions {
    /// Sessions that are sealed with these keys.
    pub fn new(keys: KeyRing, options: Options) -> Self {
        let told = moka::sync::Cache::builder();
        let told = told.max_capacity(MAX_TOLD).time_to_live(TOLD_AGAIN).build();
        Self {
            keys,
            options,
            outlive_changes: false,
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
        let Some(cookie) = self.options.read(&request.headers)? else {
            return Ok(None);
        };
        let sealed = self
            .keys
            .open(self.cookie_name(), cookie.as_bytes())
            .ok_or(SessionError::Seal)?;
        let session: Sealed = serde_json::from_slice(&sealed).map_err(|_| SessionError::Seal)?;
        let left = session.expires.left(now()).ok_or(SessionError::Expired)?;
        let known = chain.authenticators().iter().any(|authenticator| {
            let is_valid = |own| self.outlive_changes || own == &session.fingerprint;
            authenticator.name() == &*session.authenticator && authenticator.fingerprint().is_some_and(is_valid)
        });
        if !known {
            return Err(SessionError::Authenticator);
        }
        Ok(Some(Authenticated {
            identity: session.identity,
            authenticator: session.authenticator,
            fingerprint: session.fingerprint,
            valid_for: Some(left),
            response_headers: HeaderMap::new(),
        }))
    }

    /// The `Set-Cookie` value of a new session for a user who was authenticated just now.
    ///
    /// Returns `None` if the authenticator doesn't allow its decision to be reused, or if the cookie would be too long
    /// for browsers. Such a user is authenticated with every request.
    pub fn seal(&self, authenticated: &Authenticated) -> Option<HeaderValue> {
        let lifetime = authenticated.valid_for?.min(self.options.max_age());
        let session = Sealed {
            identity: Arc::clone(&authenticated.identity),
            authenticator: Arc::clone(&authenticated.authenticator),
            fingerprint: Arc::clone(&authenticated.fingerprint),
            expires: Expiry::after(lifetime, now())?,
        };
        let sealed = self
            .keys
            .seal(self.cookie_name(), &serde_json::to_vec(&session).ok()?)?;
        if sealed.len() > MAX_COOKIE {
            let user = session.identity.name();
            if self.told.entry(user.to_owned()).or_insert(()).is_fresh() {
                tracing::info!(
                    user = %user.escape_debug(),
                    groups = session.identity.groups().len(),
                    bytes = sealed.len(),
                    "a user gets no session, because the identity is too large for a cookie: every request is authenticated"
                );
            }
            return None;
        }
        self.options.set(&sealed, lifetime)
    }
}

/// When a session expires, in milliseconds since 1970. In whole seconds, a session of one second could expire at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Expiry(u64);

impl Expiry {
    /// The expiry of a session that starts now. Returns `None` if the lifetime is shorter than a millisecond.
    fn after(lifetime: Duration, now: Duration) -> Option<Self> {
        let lifetime = u64::try_from(lifetime.as_millis())
            .ok()
            .filter(|lifetime| *lifetime > 0)?;
        u64::try_from(now.as_millis()).ok()?.checked_add(lifetime).map(Self)
    }

    /// The remaining lifetime. Returns `None` if the session has expired.
    fn left(self, now: Duration) -> Option<Duration> {
        Duration::from_millis(self.0)
            .checked_sub(now)
            .filter(|left| !left.is_zero())
    }
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
