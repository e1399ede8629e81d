//! The keys that an issuer publishes. They are kept in the gateway's cache, so that no instance fetches what another has
//! fetched, and they are used beyond their time while the issuer can't be reached.
//!
//! What is sent to the issuer is bounded, whatever tokens arrive: one fetch when `cache_ttl` has passed or when a token
//! names a key that is not known, and then none for `min_refresh_interval`. Of many instances at once one fetches; the
//! others go on with the keys they have, or wait for those that are on their way.

mod claim;
mod fetch;
mod snapshot;
mod url;

use std::time::Duration;

use portcullis_sdk::cache;
use portcullis_sdk::log;
use portcullis_sdk::time;

use super::Unsigned;
use super::signed_by;
use crate::fault::Fault;
use crate::jws::Jws;
use claim::Claim;
use claim::Outcome;
use snapshot::Snapshot;

/// How soon a first fetch that failed is tried again: until it succeeds nobody comes in.
const RETRY: Duration = Duration::from_secs(5);

/// How long a token with an unknown key waits for a fetch that another one has caused. Longer waits would let such tokens
/// take up the calls that the authenticator may have at once.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long published keys are believed, and what a fetch may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    pub(crate) cache_ttl: Duration,
    pub(crate) min_refresh_interval: Duration,
    pub(crate) stale_if_error: Duration,
    /// Of one exchange; with discovery a fetch has two.
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    origin: Origin,
    insecure_http: bool,
}

#[derive(Clone, Debug)]
enum Origin {
    /// This issuer's metadata names the place.
    Discovery(String),
    /// At this URL.
    Url(String),
}

impl Provider {
    /// Keys at a place that the issuer's metadata names (OpenID Connect Discovery 1.0, section 4).
    pub(crate) fn discovered(issuer: &str, insecure_http: bool) -> Result<Self, String> {
        url::check(issuer, insecure_http).map_err(|problem| format!("issuer: {problem}"))?;
        if issuer.contains(['?', '#']) {
            return Err("issuer: with discovery it must have neither query nor fragment".to_owned());
        }
        Ok(Self {
            origin: Origin::Discovery(issuer.to_owned()),
            insecure_http,
        })
    }

    /// Keys at this URL.
    pub(crate) fn at(url: String, insecure_http: bool) -> Result<Self, String> {
        url::check(&url, insecure_http).map_err(|problem| format!("jwks_url: {problem}"))?;
        Ok(Self {
            origin: Origin::Url(url),
            insecure_http,
        })
    }

    /// Refuses a token that no key signed, after it has looked for newer keys if they may be the reason.
    pub(super) fn verify(&self, jws: &Jws<'_>, issuer: &str, freshness: &Freshness) -> Result<(), Fault> {
        let source = Source {
            provider: self,
            freshness,
        };
        let current = source.current()?;
        let fault = match signed_by(&current.keys()?, jws, issuer) {
            Ok(()) => return Ok(()),
            Err(Unsigned {
                fault,
                keys_may_be_old: false,
            }) => return Err(fault),
            Err(Unsigned {
                fault,
                keys_may_be_old: true,
            }) => fault,
        };
        match source.newer(&current) {
            Some(newer) => signed_by(&newer.keys()?, jws, issuer).map_err(|unsigned| unsigned.fault),
            None => Err(fault),
        }
    }

    /// The name of something about these keys in the cache.
    fn cache_key(&self, what: &str) -> String {
        let (kind, place) = match &self.origin {
            Origin::Discovery(issuer) => ("discovery", issuer),
            Origin::Url(url) => ("url", url),
        };
        cache::key(&[what.as_bytes(), kind.as_bytes(), place.as_bytes()])
    }
}

/// A provider's keys, in the cache or fetched.
struct Source<'s> {
    provider: &'s Provider,
    freshness: &'s Freshness,
}

impl Source<'_> {
    /// The keys to start with, as fresh as they can be had.
    fn current(&self) -> Result<Snapshot, Fault> {
        match self.load() {
            None => self.first(),
            Some(known) if known.age() < self.freshness.cache_ttl => Ok(known),
            Some(old) => Ok(self.refresh().unwrap_or(old)),
        }
    }

    /// Other keys than those that did not help, if there are any to be had now.
    fn newer(&self, tried: &Snapshot) -> Option<Snapshot> {
        let fetched = self.refresh();
        if fetched.is_none() {
            // Perhaps another instance is at it: a token signed with a new key is worth that wait.
            self.refreshing().wait(PATIENCE.min(self.fetch_takes()));
        }
        fetched
            .or_else(|| self.load())
            .filter(|newer| !newer.has_keys_of(tried))
    }

    /// Fetches the keys unless that was tried a moment ago.
    fn refresh(&self) -> Option<Snapshot> {
        let claim = self.refreshing();
        if !claim.take(self.freshness.min_refresh_interval) {
            return None;
        }
        match self.fetch() {
            Ok(new) => {
                claim.succeed(self.freshness.min_refresh_interval);
                Some(new)
            }
            Err(reason) => {
                log::warn(format!(
                    "the keys could not be fetched and the old ones are used: {reason}"
                ));
                claim.fail(&reason, self.freshness.min_refresh_interval);
                None
            }
        }
    }

    /// The keys, when none are known yet.
    fn first(&self) -> Result<Snapshot, Fault> {
        let claim = Claim::new(self.provider.cache_key("first"));
        if !claim.take(self.fetch_takes()) {
            return match claim.wait(self.fetch_takes()) {
                Outcome::Failed(reason) => Err(Fault::Unavailable(reason)),
                Outcome::Pending | Outcome::Settled => self.load().ok_or_else(|| {
                    Fault::Unavailable("another request is fetching the keys, and has not got them yet".to_owned())
                }),
            };
        }
        // Another instance may have got them since this one looked.
        let keys = self.load().map_or_else(|| self.fetch(), Ok);
        match &keys {
            Ok(_) => {
                // What was fetched just now is not worth a refresh yet, whatever tokens arrive.
                self.refreshing().succeed(self.freshness.min_refresh_interval);
                claim.release();
            }
            Err(reason) => claim.fail(reason, RETRY.min(self.freshness.min_refresh_interval)),
        }
        keys.map_err(Fault::Unavailable)
    }

    fn fetch(&self) -> Result<Snapshot, String> {
        let set = fetch::key_set(self.provider, self.freshness)?;
        let snapshot = Snapshot::new(&set, time::unix_seconds())?;
        let lifetime = self.freshness.cache_ttl.saturating_add(self.freshness.stale_if_error);
        cache::set(&self.provider.cache_key("keys"), snapshot.as_bytes(), lifetime);
        Ok(snapshot)
    }

    fn load(&self) -> Option<Snapshot> {
        Snapshot::from_bytes(cache::get(&self.provider.cache_key("keys"))?)
    }

    fn refreshing(&self) -> Claim {
        Claim::new(self.provider.cache_key("refresh"))
    }

    /// How long a fetch may take at most.
    fn fetch_takes(&self) -> Duration {
        self.freshness.timeout.saturating_mul(2)
    }
}
