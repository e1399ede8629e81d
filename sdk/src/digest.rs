//! Compares secrets in constant time and hashes credentials. The hashes replace credentials in cache keys.

use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Returns whether two secrets are equal. The time it takes depends neither on where they differ nor on the length of
/// `expected`.
pub fn constant_time_eq(given: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(expected)).into()
}

/// The SHA-256 of several byte strings, in hexadecimal. The length of each string is hashed too, so that `["ab", "c"]`
/// and `["a", "bc"]` differ.
pub(crate) fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_are_equal_and_others_are_not() {
        let cases: [(&[u8], &[u8], bool); 5] = [
            (b"", b"", true),
            (b"key", b"key", true),
            (b"key", b"kez", false),
            (b"key", b"key1", false),
            (b"", b"k", false),
        ];
        for (given, expected, equal) in cases {
            assert_eq!(constant_time_eq(given, expected), equal, "{given:?} {expected:?}");
        }
    }

    #[test]
    fn the_hash_keeps_the_parts_apart() {
        assert_eq!(sha256_hex(&[b"ab", b"c"]).len(), 64);
        assert_ne!(sha256_hex(&[b"ab", b"c"]), sha256_hex(&[b"a", b"bc"]));
        assert_ne!(sha256_hex(&[b"a"]), sha256_hex(&[b"a", b""]));
    }
}
