//! Published keys in the gateway's cache. An entry has the time of the fetch and only the necessary members of the
//! keys.

use std::time::Duration;

use portcullis_sdk::time;

use super::super::jwk::Jwk;
use super::super::jwk::Key;
use super::super::set::KeySet;
use crate::error::TokenError;

/// The size of the time, in bytes.
const TIME: usize = 8;

/// Keys and the time when they were fetched: eight bytes in little-endian order, followed by a JSON list of JWKs. It is
/// parsed for every request, so it contains nothing else.
pub(super) struct Snapshot(Vec<u8>);

impl Snapshot {
    pub(super) fn new(keys: &KeySet<'_>, fetched_at: u64) -> Result<Self, String> {
        let mut bytes = fetched_at.to_le_bytes().to_vec();
        let jwks: Vec<_> = keys.iter().map(|key| &key.jwk).collect();
        serde_json::to_writer(&mut bytes, &jwks).map_err(|error| error.to_string())?;
        Ok(Self(bytes))
    }

    /// Returns `None` if these bytes are too short for a snapshot.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() > TIME).then_some(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn age(&self) -> Duration {
        let fetched_at = self.0.first_chunk::<TIME>().map_or(0, |time| u64::from_le_bytes(*time));
        Duration::from_secs(time::unix_seconds().saturating_sub(fetched_at))
    }

    pub(super) fn keys(&self) -> Result<KeySet<'_>, TokenError> {
        let jwks: Vec<Jwk<'_>> = serde_json::from_slice(self.jwks())
            .map_err(|_| TokenError::Unavailable("the keys in the cache are unreadable".to_owned()))?;
        Ok(KeySet::of(
            jwks.into_iter().filter_map(|jwk| Key::try_from(jwk).ok()).collect(),
        ))
    }

    /// Returns whether these are the same keys, regardless of the time of the fetch.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        self.jwks() == other.jwks()
    }

    fn jwks(&self) -> &[u8] {
        self.0.get(TIME..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::FakeHost;

    use super::*;

    fn set(kid: &str) -> String {
        let key = format!(
            r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","use":"sig","x5c":["{0}"],"x":"{0}","y":"{0}"}}"#,
            "x".repeat(43)
        );
        format!(r#"{{"keys":[{key},{{"kty":"oct","k":"AA"}}]}}"#)
    }

    #[test]
    fn a_snapshot_keeps_the_keys_and_their_age() {
        let host = FakeHost::start();
        host.set_unix_seconds(1_000_000);
        let text = set("a");
        let made = Snapshot::new(&KeySet::parse(&text).unwrap(), 999_990).unwrap();
        let read = Snapshot::from_bytes(made.as_bytes().to_owned()).unwrap();
        assert_eq!(read.age(), Duration::from_secs(10));
        assert_eq!(
            read.keys()
                .unwrap()
                .iter()
                .map(|key| key.jwk.kid.as_deref().unwrap())
                .collect::<Vec<_>>(),
            ["a"]
        );
        assert!(!String::from_utf8_lossy(read.as_bytes()).contains("x5c"));

        let later = Snapshot::new(&KeySet::parse(&text).unwrap(), 999_999).unwrap();
        assert!(later.has_keys_of(&read));
        let other = set("b");
        assert!(
            !Snapshot::new(&KeySet::parse(&other).unwrap(), 999_990)
                .unwrap()
                .has_keys_of(&read)
        );
    }

    #[test]
    fn malformed_snapshots_have_no_keys() {
        assert!(Snapshot::from_bytes(Vec::new()).is_none());
        assert!(Snapshot::from_bytes(b"12345678".to_vec()).is_none());
        assert!(Snapshot::from_bytes(b"12345678{".to_vec()).unwrap().keys().is_err());
    }
}
