//! A bounded cache that outlives the instance. The gateway keeps one for each authenticator and may evict entries
//! early.
//!
//! Keys have at most 256 bytes and values at most 1 MiB; larger entries are not stored. Never store a credential:
//! [`key`] makes a hash that can replace it.

use std::time::Duration;

use crate::digest;
use crate::host;

/// Makes a key from these byte strings. The key is a hash and reveals none of them.
pub fn key(parts: &[&[u8]]) -> String {
    digest::sha256_hex(parts)
}

/// The value stored under this key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::cache_get(key)
}

/// Stores a value, replacing any other, for at most `ttl`. The time is counted in whole seconds, at least one.
pub fn set(key: &str, value: &[u8], ttl: Duration) {
    host::cache_set(key, value, seconds(ttl));
}

/// Stores a value if the key has none, in one step, and returns whether it did. When several instances need the same
/// thing at once, the one that gets `true` fetches it.
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
