//! The hub's answers, kept for a while in the gateway's cache. A key is a hash of the token, so that none is stored.

use std::time::Duration;

use portcullis_sdk::Token;
use portcullis_sdk::cache;
use portcullis_sdk::settings::HttpUrl;
use portcullis_sdk::time;
use serde::Deserialize;
use serde::Serialize;

use crate::identity::Identity;

/// How long it is remembered that the hub doesn't know a token: long enough to keep a wrong client from the hub, short
/// enough that nobody notices.
const UNKNOWN: Duration = Duration::from_secs(5);

/// How long answers are kept.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) longest: Duration,
}

/// An answer of the hub.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    /// The token's owner; none if the hub doesn't know the token.
    pub(crate) owner: Option<Identity>,
    /// When it was given, in seconds since 1970.
    given_at: u64,
}

impl Memory {
    /// The answer about this token, from the cache or from the hub, which is asked if need be.
    ///
    /// # Errors
    ///
    /// When the hub can't say. That is not remembered.
    pub(crate) fn answer(
        &self,
        api_url: &HttpUrl,
        token: &Token,
        ask: impl FnOnce() -> Result<Option<Identity>, String>,
    ) -> Result<Answer, String> {
        let key = cache::key(&[b"jupyterhub", api_url.as_str().as_bytes(), token.as_str().as_bytes()]);
        match self.recall(&key) {
            Some(answer) => Ok(answer),
            None => Ok(self.keep(&key, ask()?)),
        }
    }

    /// How long an answer may still be used. An answer from the future, after the clock was set back, is too old.
    pub(crate) fn remaining(&self, answer: &Answer) -> Duration {
        let longest = if answer.owner.is_some() {
            self.longest
        } else {
            self.longest.min(UNKNOWN)
        };
        let age = time::unix_seconds()
            .checked_sub(answer.given_at)
            .map(Duration::from_secs);
        age.map_or(Duration::ZERO, |age| longest.saturating_sub(age))
    }

    /// What is cached counts by the times that hold now: the settings may have changed since.
    fn recall(&self, key: &str) -> Option<Answer> {
        let answer: Answer = serde_json::from_slice(&cache::get(key)?).ok()?;
        (!self.remaining(&answer).is_zero()).then_some(answer)
    }

    fn keep(&self, key: &str, owner: Option<Identity>) -> Answer {
        let answer = Answer {
            owner,
            given_at: time::unix_seconds(),
        };
        let remaining = self.remaining(&answer);
        if let (false, Ok(json)) = (remaining.is_zero(), serde_json::to_vec(&answer)) {
            cache::set(key, &json, remaining);
        }
        answer
    }
}
