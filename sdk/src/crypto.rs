//! Verifies signatures and passwords with the gateway's native code. The same work would take much longer in the sandbox.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::host;

/// The signature algorithms of JOSE (RFC 7518, section 3.1; RFC 8037). `EdDSA` stands for Ed25519, and `none` is not
/// supported. The names in settings are the same as in tokens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    #[serde(rename = "EdDSA")]
    Ed25519,
    Es256,
    Es384,
    Es512,
    Hs256,
    Hs384,
    Hs512,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}

impl Algorithm {
    const NAMES: [(&str, Self); 13] = [
        ("EdDSA", Self::Ed25519),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
    ];

    /// Returns every algorithm, in the order of their names.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(_, algorithm)| algorithm)
    }

    /// Parses the `alg` of a token or a key. `Ed25519` is the newer name of what `EdDSA` means here (RFC 9864). Returns
    /// `None` for any other name; names are case-sensitive.
    pub fn from_jose(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::Ed25519);
        }
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, algorithm)| *algorithm)
    }
}

/// The name in tokens and settings.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES.iter().find(|(_, known)| known == self);
        f.pad(found.map_or("", |(name, _)| name))
    }
}

/// Returns whether `signature` over `message` is valid under `key`, a JWK as JSON (RFC 7517). An ECDSA signature is its
/// two numbers side by side, as in a JWS (RFC 7518, section 3.4).
///
/// # Errors
///
/// Returns an error if the key can't be read, is not of the algorithm's type, or is too weak or too large: RSA keys
/// have 2048 to 8192 bits, HMAC keys at least as many bytes as the digest.
pub fn verify(algorithm: Algorithm, key: &str, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    host::verify(algorithm, key, message, signature)
}

/// Returns whether `hash` is that of `password`: a hash of bcrypt (`$2b$…`, as `htpasswd -B` writes it), or a PHC string of
/// Argon2 (`$argon2id$…`) or scrypt (`$scrypt$…`). bcrypt looks at the first 72 bytes of the password only.
///
/// Such hashes are slow on purpose. Remember in [`cache`](crate::cache) what was right: the digest of hash and password, never
/// the password.
///
/// # Errors
///
/// Returns an error if the hash is of another kind, can't be read, or costs too much: more than bcrypt's 15, 256 MiB of memory,
/// or passes over 1 GiB.
pub fn verify_password(password: &str, hash: &str) -> Result<bool, String> {
    host::verify_password(password.as_bytes(), hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_same_in_a_token_and_in_the_settings() {
        let names = "EdDSA ES256 ES384 ES512 HS256 HS384 HS512 PS256 PS384 PS512 RS256 RS384 RS512";
        for name in names.split(' ') {
            let configured: Algorithm = serde_json::from_value(name.into()).unwrap();
            assert_eq!(Algorithm::from_jose(name), Some(configured), "{name}");
            assert_eq!(configured.to_string(), name);
        }
        assert_eq!(Algorithm::from_jose("Ed25519"), Some(Algorithm::Ed25519));
        for name in [
            "none", "None", "NONE", "", "rs256", "RS256 ", "es512", "RS1", "Ed448", "ES256K", "dir", "RSA-OAEP",
        ] {
            assert_eq!(Algorithm::from_jose(name), None, "{name}");
            assert!(serde_json::from_value::<Algorithm>(name.into()).is_err(), "{name}");
        }
    }
}
