//! A bounded cache that outlives the instance, kept by the gateway for this authenticator alone. An entry may be gone
//! before its time.
//!
//! Keys have at most 256 bytes and values at most 1 MiB; larger ones are not stored. Never store a credential: [`key`]
//! makes a hash that can stand for one.

use std::time::Duration;

use crate::digest;
use crate::host;

/// A key that stands for all of these byte strings and reveals none.
pub fn key(parts: &[&[u8]]) -> String {
    digest::sha256_hex(parts)
}

/// The value stored under this key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::cache_get(key)
}

/// Stores a value over any other, for at most `ttl`, counted in whole seconds and at least one.
pub fn set(key: &str, value: &[u8], ttl: Duration) {
    host::cache_set(key, value, seconds(ttl));
}

/// Stores a value if there is none, in one step, and says whether it did. Of many instances that need the same thing at
/// once, the one that is told true fetches it.
pub fn add(key: &str, value: &[u8], ttl: Duration) -> bool {
    host::cache_add(key, value, seconds(ttl))
}

/// Removes an entry.
pub fn delete(key: &str) {
    host::cache_delete(key);
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs().max(1)).unwrap_or(u32::MAX)
}
