//! Assertions: what the gateway says of a user to an upstream, signed, so that the upstream can tell it from what anybody else
//! says. Their keys change with the clock, and `/.portcullis/jwks.json` has those of the last, this and the next period.

mod claims;
mod key;

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use portcullis::session::Key;
use serde_json::json;

use self::key::PeriodKey;
use crate::by_period::ByPeriod;
use crate::by_period::around;
use crate::config::AssertionConfig;

pub(crate) use self::claims::Claims;

/// Signs the assertions of a configuration.
#[derive(Debug)]
pub(crate) struct Assertions {
    config: AssertionConfig,
    /// The keys of the sessions. The first one signs; verifiers know those of all.
    roots: Vec<Key>,
    periods: ByPeriod<Period>,
}

/// A period in which one key signs.
#[derive(Debug)]
struct Period {
    key: PeriodKey,
    /// The header of its assertions (RFC 7515, section 4), encoded.
    header: String,
    jwks: Bytes,
}

impl Assertions {
    /// Assertions whose keys are derived from those of the sessions.
    pub(crate) fn new(config: AssertionConfig, roots: Vec<Key>) -> Self {
        Self {
            periods: ByPeriod::new(config.rotation),
            config,
            roots,
        }
    }

    /// The assertion of these claims: a JSON Web Token (RFC 7519) in compact form.
    ///
    /// # Errors
    ///
    /// Returns an error if the cryptographic library fails.
    pub(crate) fn sign(&self, claims: &Claims<'_>, now: SystemTime) -> Result<String, &'static str> {
        let period = self.period(now)?;
        let now = seconds(now);
        let claims = claims.at(&self.config.issuer, now, now + self.config.lifetime.as_secs());
        let claims = serde_json::to_vec(&claims).map_err(|_| "the claims can't be written as JSON")?;
        let mut token = period.header.clone();
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = period.key.sign(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The public keys, as a JSON Web Key Set (RFC 7517, section 5).
    ///
    /// # Errors
    ///
    /// Returns an error if the cryptographic library fails.
    pub(crate) fn jwks(&self, now: SystemTime) -> Result<Bytes, &'static str> {
        Ok(self.period(now)?.jwks.clone())
    }

    /// How long verifiers may keep the public keys without missing one: the next period's are among them.
    pub(crate) fn jwks_lifetime(&self) -> Duration {
        self.config.rotation.min(MAX_KEPT)
    }

    fn period(&self, now: SystemTime) -> Result<Arc<Period>, &'static str> {
        self.periods.at(now, |number| Period::new(&self.roots, number))
    }
}

impl Period {
    fn new(roots: &[Key], number: u64) -> Result<Self, &'static str> {
        let root = roots.first().ok_or("there is no key for assertions")?;
        let key = PeriodKey::derive(root, number)?;
        let mut keys = Vec::new();
        for root in roots {
            for number in around(number) {
                keys.push(PeriodKey::derive(root, number)?.public);
            }
        }
        let header = json!({ "alg": "ES256", "kid": key.public.kid, "typ": "JWT" });
        Ok(Self {
            header: BASE64_URL_SAFE_NO_PAD.encode(header.to_string()),
            jwks: json!({ "keys": keys }).to_string().into(),
            key,
        })
    }
}

/// Since 1970. A clock that stands before that counts as 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// The longest time for which a verifier keeps the public keys. A key of the sessions that was added is known everywhere after it.
const MAX_KEPT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
