//! A shared store that is trusted with nothing: what processes keep there is sealed, and bound to its name, and names are digests. Who
//! reads the store learns nothing of users, and who writes to it can't make a value up. Forgetting is all that is left to it.

use std::time::Duration;

use aws_lc_rs::hmac;

use super::key::Key;
use super::key::KeyError;
use super::ring::KeyRing;
use super::ring::Purpose;
use crate::shared::LogEntry;
use crate::shared::LogPosition;
use crate::shared::SharedStore;
use crate::shared::StoreError;
use crate::shared::StoreFuture;

/// A store whose values are sealed with keys that all processes have. The first key seals and gives names; all open. So processes
/// share values as soon as they have the same first key, and logs as soon as each has the first key of the other.
#[derive(Debug)]
pub struct SealedStore<S> {
    store: S,
    ring: KeyRing,
    names: hmac::Key,
}

impl<S: SharedStore> SealedStore<S> {
    /// A store with keys that are derived from these.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no keys, or if the cryptographic library fails.
    pub fn new(store: S, keys: &[Key]) -> Result<Self, KeyError> {
        let derived = keys.iter().map(|key| key.derive("portcullis stored"));
        let ring = KeyRing::new(derived.collect::<Result<Vec<_>, _>>()?)?;
        let first = keys.first().ok_or(KeyError("there is no key"))?;
        let names = hmac::Key::new(hmac::HMAC_SHA256, first.derive("portcullis stored names")?.as_bytes());
        Ok(Self { store, ring, names })
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    fn name(&self, name: &str) -> String {
        let tag = hmac::sign(&self.names, name.as_bytes());
        hex::encode(tag.as_ref().get(..NAME).unwrap_or_default())
    }

    fn seal(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sealed = self.ring.seal_bytes(Purpose::Stored, name, bytes);
        sealed
            .ok_or_else(|| StoreError::Refused("the system has no random numbers, so nothing can be sealed".to_owned()))
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.ring.open_bytes(Purpose::Stored, name, sealed)
    }
}

/// How many bytes of a name's digest are used.
const NAME: usize = 16;

impl<S: SharedStore> SharedStore for SealedStore<S> {
    fn get(&self, name: String) -> StoreFuture<'_, Option<Vec<u8>>> {
        let stored = self.store.get(self.name(&name));
        Box::pin(async move { Ok(stored.await?.and_then(|sealed| self.open(&name, &sealed))) })
    }

    fn set(&self, name: String, value: Vec<u8>, life: Duration) -> StoreFuture<'_, ()> {
        match self.seal(&name, &value) {
            Ok(sealed) => self.store.set(self.name(&name), sealed, life),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn add(&self, name: String, value: Vec<u8>, life: Duration) -> StoreFuture<'_, bool> {
        match self.seal(&name, &value) {
            Ok(sealed) => self.store.add(self.name(&name), sealed, life),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn delete(&self, name: String) -> StoreFuture<'_, ()> {
        self.store.delete(self.name(&name))
    }

    /// The time on an account isn't sealed, because the store computes with it.
    fn charge(&self, name: String, time: Duration) -> StoreFuture<'_, Duration> {
        self.store.charge(self.name(&name), time)
    }

    /// The name of a log isn't hidden, so that processes whose first keys differ have the same.
    fn append(&self, log: String, entry: Vec<u8>, keep: Duration, most: usize) -> StoreFuture<'_, ()> {
        match self.seal(&log, &entry) {
            Ok(sealed) => self.store.append(log, sealed, keep, most),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    /// Entries that none of the keys sealed have no bytes.
    fn read(&self, log: String, after: Option<LogPosition>, wait: Duration) -> StoreFuture<'_, Vec<LogEntry>> {
        Box::pin(async move {
            let entries = self.store.read(log.clone(), after, wait).await?;
            let opened = entries.into_iter().map(|entry| LogEntry {
                bytes: self.open(&log, &entry.bytes).unwrap_or_default(),
                position: entry.position,
            });
            Ok(opened.collect())
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.store.ping()
    }
}
