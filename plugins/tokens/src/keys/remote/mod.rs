//! The keys that an issuer publishes. They are kept in the gateway's cache, where all instances share them, and are
//! used beyond their time while the issuer can't be reached.
//!
//! Requests to the issuer are limited, whatever tokens arrive: keys are fetched when `cache_ttl` has passed or when no key
//! verifies a token, and then not again for `min_refresh_interval`. Of several instances at once, one
//! fetches; the others use the keys they have, or wait for the first ones.

pub mod by_id;
mod fetch;
mod lease;
mod snapshot;
pub mod url;

use std::time::Duration;

use portcullis_sdk::cache;
use portcullis_sdk::log;
use portcullis_sdk::time;

use super::signed_by;
use crate::error::TokenError;
use crate::jws::Jws;
use lease::FetchState;
use lease::Lease;
use snapshot::Snapshot;

/// How many redirects of a fetch are followed, on the same server.
const REDIRECTS: u8 = 3;

/// How soon a failed first fetch is tried again. Until it succeeds, no token is accepted.
const RETRY: Duration = Duration::from_secs(5);

/// How long a token with an unknown key waits for a fetch that another token has started. A longer wait would let such
/// tokens use up the authenticator's concurrent calls.
const UNKNOWN_KEY_TIMEOUT: Duration = Duration::from_millis(500);

/// How long published keys are used, and the limits of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct RefreshPolicy {
    /// How long they are used before they are fetched again.
    pub cache_ttl: Duration,
    /// The shortest time between two fetches.
    pub min_refresh_interval: Duration,
    /// How much longer they are used while they can't be fetched.
    pub stale_if_error: Duration,
    /// The limit of one request; with discovery a fetch takes two.
    pub timeout: Duration,
    /// The largest answer.
    pub max_bytes: usize,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug)]
pub struct Provider {
    origin: Origin,
    insecure_http: bool,
}

#[derive(Clone, Debug)]
enum Origin {
    /// The URL is in the metadata of this issuer.
    Discovery { issuer: String, metadata_url: String },
    /// The URL of the keys.
    Url(String),
}

impl Provider {
    /// Makes a provider whose keys are at the URL in the issuer's metadata (OpenID Connect Discovery 1.0, section 4).
    pub fn discovered(issuer: &str, insecure_http: bool) -> Result<Self, String> {
        url::check(issuer, insecure_http).map_err(|problem| format!("issuer: {problem}"))?;
        if issuer.contains(['?', '#']) {
            return Err("issuer: with discovery it must have neither query nor fragment".to_owned());
        }
        let metadata_url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Ok(Self::described(issuer, metadata_url, insecure_http))
    }

    /// Makes a provider whose metadata is at another URL than the issuer's name says: one that this machine can reach, or
    /// one for all tenants.
    pub fn described_at(issuer: &str, metadata_url: String, insecure_http: bool) -> Result<Self, String> {
        url::check(&metadata_url, insecure_http).map_err(|problem| format!("metadata_url: {problem}"))?;
        Ok(Self::described(issuer, metadata_url, insecure_http))
    }

    fn described(issuer: &str, metadata_url: String, insecure_http: bool) -> Self {
        let issuer = issuer.to_owned();
        Self {
            origin: Origin::Discovery { issuer, metadata_url },
            insecure_http,
        }
    }

    /// Makes a provider whose keys are at this URL.
    pub fn at(url: String, insecure_http: bool) -> Result<Self, String> {
        url::check(&url, insecure_http).map_err(|problem| format!("jwks_url: {problem}"))?;
        Ok(Self {
            origin: Origin::Url(url),
            insecure_http,
        })
    }

    /// Refuses a token that no key signed. If newer keys could change that, it fetches them first.
    pub fn verify(&self, jws: &Jws<'_>, issuer: &str, policy: &RefreshPolicy) -> Result<(), TokenError> {
        let source = Source { provider: self, policy };
        let current = source.current()?;
        let Err(error) = signed_by(&current.keys()?, jws, issuer) else {
            return Ok(());
        };
        // Also a key that the token names may be another one now: a provider that was set up anew uses the old ids.
        match source.newer(&current) {
            Some(newer) => signed_by(&newer.keys()?, jws, issuer),
            None => Err(error),
        }
    }

    /// The URL that the operator knows.
    fn place(&self) -> &str {
        match &self.origin {
            Origin::Discovery { metadata_url, .. } => metadata_url,
            Origin::Url(url) => url,
        }
    }

    /// The cache key for `what` about this provider.
    fn cache_key(&self, what: &str) -> String {
        let (kind, place) = match &self.origin {
            Origin::Discovery { metadata_url, .. } => ("discovery", metadata_url),
            Origin::Url(url) => ("url", url),
        };
        cache::key(&[what.as_bytes(), kind.as_bytes(), place.as_bytes()])
    }
}

/// Gets a provider's keys from the cache or from the issuer.
struct Source<'s> {
    provider: &'s Provider,
    policy: &'s RefreshPolicy,
}

impl Source<'_> {
    /// Returns the keys, refreshed if they are old.
    fn current(&self) -> Result<Snapshot, TokenError> {
        match self.load() {
            None => self.first(),
            Some(known) if known.age() < self.policy.cache_ttl => Ok(known),
            Some(old) => Ok(self.refresh().unwrap_or(old)),
        }
    }

    /// Returns other keys than those that were tried, if there are any now.
    fn newer(&self, tried: &Snapshot) -> Option<Snapshot> {
        let fetched = self.refresh();
        if fetched.is_none() {
            // Another instance may be fetching them. For a token that is signed with a new key, it is worth waiting.
            self.refresh_lease().wait(UNKNOWN_KEY_TIMEOUT.min(self.fetch_timeout()));
        }
        fetched
            .or_else(|| self.load())
            .filter(|newer| !newer.has_keys_of(tried))
    }

    /// Fetches the keys, unless a fetch was tried a moment ago.
    fn refresh(&self) -> Option<Snapshot> {
        let lease = self.refresh_lease();
        if !lease.take(self.policy.min_refresh_interval) {
            return None;
        }
        match self.fetch() {
            Ok(new) => {
                lease.succeed(self.policy.min_refresh_interval);
                Some(new)
            }
            Err(reason) => {
                log::warn(format!("the keys can't be fetched, so the old ones are used: {reason}"));
                lease.fail(&reason, self.policy.min_refresh_interval);
                None
            }
        }
    }

    /// Returns the keys when none are cached yet.
    fn first(&self) -> Result<Snapshot, TokenError> {
        let lease = Lease::new(self.provider.cache_key("first"));
        if !lease.take(self.fetch_timeout()) {
            return match lease.wait(self.fetch_timeout()) {
                FetchState::Failed(reason) => Err(TokenError::Unavailable(reason)),
                FetchState::Pending | FetchState::Settled => self.load().ok_or_else(|| {
                    TokenError::Unavailable("another request is fetching the keys and has not received them".to_owned())
                }),
            };
        }
        // Another instance may have stored them in the meantime.
        let keys = self.load().map_or_else(|| self.fetch(), Ok);
        match &keys {
            Ok(_) => {
                // These keys are new, so they are not refreshed yet, whatever tokens arrive.
                self.refresh_lease().succeed(self.policy.min_refresh_interval);
                lease.release();
            }
            Err(reason) => lease.fail(reason, RETRY.min(self.policy.min_refresh_interval)),
        }
        keys.map_err(TokenError::Unavailable)
    }

    fn fetch(&self) -> Result<Snapshot, String> {
        let set = fetch::key_set(self.provider, self.policy)?;
        if let Some(unusable) = set.unusable() {
            log::info(format!("{}: {unusable}", self.provider.place()));
        }
        let snapshot = Snapshot::new(&set, time::unix_seconds())?;
        let lifetime = self.policy.cache_ttl.saturating_add(self.policy.stale_if_error);
        cache::set(&self.provider.cache_key("keys"), snapshot.as_bytes(), lifetime);
        Ok(snapshot)
    }

    fn load(&self) -> Option<Snapshot> {
        Snapshot::from_bytes(cache::get(&self.provider.cache_key("keys"))?)
    }

    fn refresh_lease(&self) -> Lease {
        Lease::new(self.provider.cache_key("refresh"))
    }

    /// The longest time that a fetch may take.
    fn fetch_timeout(&self) -> Duration {
        self.policy.timeout.saturating_mul(2)
    }
}
