//! Sessions in a sealed cookie: who was authenticated, by what, until when. Nothing is stored, so any number of
//! gateways with the same keys share every session.

mod cookie;
mod key;

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
pub use self::key::Key;
pub use self::key::KeyError;
pub use self::key::KeyRing;

/// Longest cookie that is sealed, in bytes; browsers drop one of more than 4096 with its attributes.
const MAX_COOKIE: usize = 3800;

/// Opens and seals session cookies.
#[derive(Debug)]
pub struct Sessions {
    keys: KeyRing,
    options: Options,
}

/// What a cookie says, sealed. The names are short because a cookie is.
#[derive(Deserialize, Serialize)]
struct Sealed {
    #[serde(rename = "u")]
    identity: Identity,
    #[serde(rename = "a")]
    authenticator: Arc<str>,
    #[serde(rename = "f")]
    fingerprint: String,
    #[serde(rename = "e")]
    expires: Expiry,
}

impl Sessions {
    /// Sessions under these keys.
    pub fn new(keys: KeyRing, options: Options) -> Self {
        Self { keys, options }
    }

    /// The cookie's name, as it stands in a request.
    pub fn cookie_name(&self) -> &str {
        self.options.name()
    }

    /// A `Set-Cookie` value that ends the session.
    pub fn clear(&self) -> HeaderValue {
        self.options.clear()
    }

    /// The user of a request's session, if the chain still has the very authenticator that admitted it.
    ///
    /// None for every other cause too: no cookie, several, one that doesn't open, one that is too old. A session is a
    /// convenience, so a bad one is as good as none.
    pub fn open(&self, request: &AuthRequest, chain: &Chain) -> Option<Authenticated> {
        let cookie = self.options.read(&request.headers)?;
        let sealed = self.keys.open(self.cookie_name(), cookie.as_bytes())?;
        let session: Sealed = serde_json::from_slice(&sealed).ok()?;
        let left = session.expires.left(now())?;
        let known = chain.authenticators().iter().any(|authenticator| {
            authenticator.name() == &*session.authenticator && authenticator.fingerprint() == session.fingerprint
        });
        known.then(|| Authenticated {
            identity: session.identity,
            authenticator: session.authenticator,
            fingerprint: session.fingerprint,
            valid_for: Some(left),
            response_headers: HeaderMap::new(),
        })
    }

    /// A `Set-Cookie` value for a user who was just authenticated.
    ///
    /// None when the authenticator didn't allow its decision to be reused, or the cookie would be longer than browsers
    /// keep: such a user is authenticated with every request.
    pub fn seal(&self, authenticated: &Authenticated) -> Option<HeaderValue> {
        let lifetime = authenticated.valid_for?.min(self.options.max_age());
        let session = Sealed {
            identity: authenticated.identity.clone(),
            authenticator: Arc::clone(&authenticated.authenticator),
            fingerprint: authenticated.fingerprint.clone(),
            expires: Expiry::after(lifetime, now())?,
        };
        let sealed = self
            .keys
            .seal(self.cookie_name(), &serde_json::to_vec(&session).ok()?)?;
        if sealed.len() > MAX_COOKIE {
            tracing::debug!(
                user = session.identity.name(),
                "the identity is too large for a session cookie"
            );
            return None;
        }
        self.options.set(&sealed, lifetime)
    }
}

/// When a session is over, in milliseconds since 1970: in seconds, one that is to last for a second could end at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Expiry(u64);

impl Expiry {
    /// None when nothing is left of a lifetime.
    fn after(lifetime: Duration, now: Duration) -> Option<Self> {
        let lifetime = u64::try_from(lifetime.as_millis())
            .ok()
            .filter(|lifetime| *lifetime > 0)?;
        u64::try_from(now.as_millis()).ok()?.checked_add(lifetime).map(Self)
    }

    /// How long it still is; none: it is over.
    fn left(self, now: Duration) -> Option<Duration> {
        Duration::from_millis(self.0)
            .checked_sub(now)
            .filter(|left| !left.is_zero())
    }
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lives_as_long_as_it_may_whenever_it_begins() {
        let millis = Duration::from_millis;
        for lifetime in [1, 999, 1000, 1500, 43_200_000].map(millis) {
            for start in [0, 1, 500, 999, 1000, 1_800_000_000_999].map(millis) {
                let expiry = Expiry::after(lifetime, start).unwrap();
                assert_eq!(expiry.left(start), Some(lifetime), "{start:?}");
                assert_eq!(expiry.left(start + lifetime - millis(1)), Some(millis(1)), "{start:?}");
                assert_eq!(expiry.left(start + lifetime), None, "{start:?}");
                assert_eq!(expiry.left(start + lifetime * 2), None, "{start:?}");
            }
        }
        for nothing in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
            assert_eq!(Expiry::after(nothing, millis(1)), None, "{nothing:?}");
        }
    }
}
