//! Keys that an issuer publishes one by one, each at a URL with its id, as AWS load balancers do. A key is fetched with the
//! first token that names it.

use portcullis_sdk::cache;
use portcullis_sdk::http;
use portcullis_sdk::log;
use portcullis_sdk::time;

use super::REDIRECTS;
use super::RefreshPolicy;
use super::snapshot::Snapshot;
use super::url;
use crate::error::TokenError;
use crate::jws::Jws;
use crate::keys::inline;
use crate::keys::signed_by;
use crate::text::quoted;

/// The place of the key's id in the URL.
const PLACE: &str = "{kid}";

/// How many keys are fetched in each `min_refresh_interval`, whatever ids tokens name.
const MAX_FETCHES: u8 = 5;

/// The largest answer, in bytes. It has one key.
const MAX_BYTES: usize = 16 * 1024;

/// The URLs of an issuer's keys.
#[derive(Clone, Debug)]
pub struct KeysById {
    before: String,
    after: String,
}

impl KeysById {
    /// Makes the URLs of keys from one with the place `{kid}`.
    pub fn at(template: &str, insecure_http: bool) -> Result<Self, String> {
        url::check(template, insecure_http).map_err(|problem| format!("key_url: {problem}"))?;
        let (before, after) = template
            .split_once(PLACE)
            .filter(|(before, after)| before.matches('/').count() > 2 && !after.contains(PLACE))
            .ok_or("key_url: expected a URL with {kid} in its path, where the id of the key stands")?;
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// Refuses a token that the key of its id didn't sign.
    pub fn verify(&self, jws: &Jws<'_>, issuer: &str, policy: &RefreshPolicy) -> Result<(), TokenError> {
        let id = jws.key_id.as_deref().ok_or(TokenError::Token("names no key (kid)"))?;
        let unknown = || TokenError::Key {
            issuer: issuer.to_owned(),
            kid: quoted(id),
            known: String::new(),
        };
        // The id becomes a part of the URL, so it has no character that means anything there.
        let is_plain = (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_plain {
            return Err(unknown());
        }
        let url = format!("{}{id}{}", self.before, self.after);
        let key = cache_key(&url);
        let known = match cache::get(&key) {
            Some(none) if none.is_empty() => return Err(unknown()),
            known => known.and_then(Snapshot::from_bytes),
        };
        let is_fresh = known.as_ref().is_some_and(|known| known.age() < policy.cache_ttl);
        let snapshot = match known {
            Some(known) if is_fresh => known,
            known => match (self.fetch(&url, policy), known) {
                (Ok(Some(new)), _) => new,
                (Ok(None), _) => {
                    cache::set(&key, &[], policy.min_refresh_interval);
                    return Err(unknown());
                }
                (Err(_), Some(old)) => old,
                (Err(reason), None) => return Err(TokenError::Unavailable(reason)),
            },
        };
        let Err(error) = signed_by(&snapshot.keys()?, jws, issuer) else {
            return Ok(());
        };
        // Under a known id there may be another key now. A fetch was tried before if the key wasn't fresh.
        if !is_fresh || snapshot.age() < policy.min_refresh_interval {
            return Err(error);
        }
        match self.fetch(&url, policy) {
            Ok(Some(newer)) if !newer.has_keys_of(&snapshot) => signed_by(&newer.keys()?, jws, issuer),
            _ => Err(error),
        }
    }

    /// Fetches a key and stores it. `None` if there is none.
    fn fetch(&self, url: &str, policy: &RefreshPolicy) -> Result<Option<Snapshot>, String> {
        let take = |slot: u8| {
            let slot = cache::key(&[b"slot", &[slot], self.before.as_bytes()]);
            cache::add(&slot, b"taken", policy.min_refresh_interval)
        };
        if !(0..MAX_FETCHES).any(take) {
            return Err(format!("{url}: too many keys were fetched within min_refresh_interval"));
        }
        let fetched =
            exchange(url, policy).inspect_err(|reason| log::warn(format!("a key can't be fetched: {reason}")))?;
        if let Some(new) = &fetched {
            let lifetime = policy.cache_ttl.saturating_add(policy.stale_if_error);
            cache::set(&cache_key(url), new.as_bytes(), lifetime);
        }
        Ok(fetched)
    }
}

/// The cache key for the key at this URL.
fn cache_key(url: &str) -> String {
    cache::key(&[b"key", url.as_bytes()])
}

/// Asks for a key. `None` if there is none.
fn exchange(url: &str, policy: &RefreshPolicy) -> Result<Option<Snapshot>, String> {
    let request = http::get(url)
        .fresh()
        .same_origin_redirects(REDIRECTS)
        .timeout(policy.timeout);
    let answer = request
        .max_body(MAX_BYTES.min(policy.max_bytes))
        .send()
        .map_err(|error| format!("{url}: {error}"))?;
    match answer.status {
        200 => {}
        // Servers of files answer 403 for one that isn't there.
        400 | 403 | 404 | 410 => return Ok(None),
        status => return Err(format!("{url}: it answered {status}, not 200")),
    }
    let text = String::from_utf8(answer.body).map_err(|_| format!("{url}: the answer is not UTF-8"))?;
    let keys = inline::parse(&text).map_err(|problem| format!("{url}: {problem}"))?;
    Snapshot::new(&keys, time::unix_seconds()).map(Some)
}
