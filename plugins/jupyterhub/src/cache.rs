//! Stores the hub's answers in the gateway's cache. The keys are hashes of tokens, so that no token is stored.

use std::time::Duration;

use portcullis_sdk::Token;
use portcullis_sdk::cache;
use portcullis_sdk::settings::HttpUrl;
use portcullis_sdk::time;
use serde::Deserialize;
use serde::Serialize;

use crate::identity::Identity;

/// How long an unknown token is cached. This is long enough to spare the hub from a misconfigured client, and too short
/// for a user to notice.
const UNKNOWN_TOKEN_MAX_AGE: Duration = Duration::from_secs(5);

/// The cache of the hub's answers.
#[derive(Debug)]
pub(crate) struct TokenCache {
    /// How long an answer is used.
    pub(crate) max_age: Duration,
}

/// An answer of the hub.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct CachedAnswer {
    /// The owner of the token, or `None` if the hub doesn't know the token.
    pub(crate) owner: Option<Identity>,
    /// When the hub answered, in seconds since 1970.
    answered_at: u64,
}

impl TokenCache {
    /// Returns the answer about this token from the cache, or asks the hub if the cache has none.
    ///
    /// # Errors
    ///
    /// Returns an error if the hub can't answer. Errors are not cached.
    pub(crate) fn answer(
        &self,
        api_url: &HttpUrl,
        token: &Token,
        ask: impl FnOnce() -> Result<Option<Identity>, String>,
    ) -> Result<CachedAnswer, String> {
        let key = cache::key(&[b"jupyterhub", api_url.as_str().as_bytes(), token.as_str().as_bytes()]);
        match self.load(&key) {
            Some(answer) => Ok(answer),
            None => Ok(self.store(&key, ask()?)),
        }
    }

    /// How long an answer may still be used. An answer from the future, which exists after the clock was set back, has
    /// expired.
    pub(crate) fn remaining(&self, answer: &CachedAnswer) -> Duration {
        let max_age = if answer.owner.is_some() {
            self.max_age
        } else {
            self.max_age.min(UNKNOWN_TOKEN_MAX_AGE)
        };
        let age = time::unix_seconds()
            .checked_sub(answer.answered_at)
            .map(Duration::from_secs);
        age.map_or(Duration::ZERO, |age| max_age.saturating_sub(age))
    }

    /// Entries expire by the current settings, which may have changed since they were stored.
    fn load(&self, key: &str) -> Option<CachedAnswer> {
        let answer: CachedAnswer = serde_json::from_slice(&cache::get(key)?).ok()?;
        (!self.remaining(&answer).is_zero()).then_some(answer)
    }

    fn store(&self, key: &str, owner: Option<Identity>) -> CachedAnswer {
        let answer = CachedAnswer {
            owner,
            answered_at: time::unix_seconds(),
        };
        let remaining = self.remaining(&answer);
        if let (false, Ok(json)) = (remaining.is_zero(), serde_json::to_vec(&answer)) {
            cache::set(key, &json, remaining);
        }
        answer
    }
}
