//! Signatures, checked by the gateway: in the sandbox they cost tens of times more.

use crate::host;

/// The signature algorithms of JOSE (RFC 7518, section 3.1; RFC 8037), with Ed25519 for EdDSA.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    Ed25519,
    Es256,
    Es384,
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

/// Whether `signature` over `message` holds under `key`, a JWK as JSON (RFC 7517). ECDSA signatures are the two numbers
/// side by side, as JWS has them (RFC 7518, section 3.4).
///
/// # Errors
///
/// When the key can't be read, is not of the algorithm's type, or is too weak or too large: RSA keys have 2048 to 8192
/// bits, HMAC keys at least as many bytes as the digest has.
pub fn verify(algorithm: Algorithm, key: &str, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    host::verify(algorithm, key, message, signature)
}
