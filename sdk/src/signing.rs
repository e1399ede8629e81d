//! Signs with keys that the plugin never sees, for example to prove to a provider who it is (`private_key_jwt`).

use crate::crypto::Algorithm;
use crate::host;

/// Signs a message of at most 64 KiB with the key that the operator granted under this name. An ECDSA signature is its two numbers
/// side by side, as in a JWS (RFC 7518, section 3.4).
///
/// # Errors
///
/// Returns an error if no such key is granted, if it isn't of the algorithm's type, if the algorithm has a shared secret, or if
/// this call has signed four messages already.
pub fn sign(key: &str, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, String> {
    host::sign(key, algorithm, message)
}
