//! A key of session cookies, from which keys for other purposes are derived.

use std::fmt;

use aws_lc_rs::hkdf;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

const KEY: usize = 32;

/// A key of 32 random bytes, written as 64 hexadecimal digits. Its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY]>);

impl Key {
    /// Generates a key from the system's random source.
    ///
    /// # Errors
    ///
    /// Returns an error if the system's random source fails.
    pub fn generate() -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; KEY]);
        rand::fill(key.as_mut_slice()).map_err(|_| KeyError("the system's random source failed"))?;
        Ok(Self(key))
    }

    /// Parses a key.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not 64 hexadecimal digits, or if all bytes of the key are the same.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; KEY]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice()).map_err(|_| {
            KeyError("expected 32 random bytes as 64 hexadecimal digits: `portcullis keygen` makes them")
        })?;
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err(KeyError(
                "its bytes are all the same: `portcullis keygen` makes a random one",
            ));
        }
        Ok(Self(key))
    }

    /// Another key for a purpose of the caller's (HKDF with SHA-256, RFC 5869). Who has this key can derive it, too; who has only the
    /// derived one learns nothing of this one, nor of those for other purposes.
    ///
    /// # Errors
    ///
    /// Returns an error if the cryptographic library fails.
    pub fn derive(&self, purpose: &str) -> Result<Self, KeyError> {
        let failed = |_| KeyError("no key can be derived for this purpose");
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"portcullis derived key").extract(self.0.as_slice());
        let mut key = Zeroizing::new([0; KEY]);
        let purpose = [purpose.as_bytes()];
        let expanded = extracted.expand(&purpose, hkdf::HKDF_SHA256).map_err(failed)?;
        expanded.fill(key.as_mut_slice()).map_err(failed)?;
        Ok(Self(key))
    }

    /// The key. Treat the bytes as a secret.
    pub fn as_bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// The key as 64 hexadecimal digits. Treat the text as a secret.
    pub fn to_hex(&self) -> String {
        hex::encode(*self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Why there is no [`Key`] or [`KeyRing`]. The text doesn't repeat the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyError(pub(super) &'static str);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by another implementation of HKDF: gateways of other versions must derive the same keys.
    #[test]
    fn a_derived_key_depends_on_the_key_and_on_the_purpose() {
        let key = Key::from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap();
        let derived = key.derive("a purpose").unwrap();
        assert_eq!(
            derived.to_hex(),
            "ea082e4b7e08e6ddae824cd3dcb0d210b6ce99b570e1f0d2acffd1c2bf4f04a8"
        );
        assert_eq!(derived.as_bytes()[..], hex::decode(derived.to_hex()).unwrap());
        assert_ne!(key.derive("another").unwrap().to_hex(), derived.to_hex());
        assert_ne!(
            Key::generate().unwrap().derive("a purpose").unwrap().to_hex(),
            derived.to_hex()
        );
    }

    #[test]
    fn weak_and_malformed_keys_are_refused() {
        let short = "ab".repeat(31);
        for text in ["", "x", &short, &"00".repeat(32), &"zz".repeat(32), &"ab".repeat(33)] {
            assert!(Key::from_hex(text).is_err(), "{text}");
        }
        let key = Key::generate().unwrap();
        assert_eq!(
            Key::from_hex(&format!("{}\n", key.to_hex())).unwrap().to_hex(),
            key.to_hex()
        );
    }
}
