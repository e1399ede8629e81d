//! The key that signs checkpoints with Ed25519 (RFC 8032). Who verifies needs only its public half, and so can't forge any.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::UnparsedPublicKey;

use super::hash::Hash;

/// A key that signs checkpoints. Clones share it.
#[derive(Clone)]
pub(crate) struct AuditKey(Arc<Ed25519KeyPair>);

impl AuditKey {
    /// Makes a key of 32 random bytes, written as 64 hexadecimal digits, as `portcullis keygen` makes them.
    ///
    /// # Errors
    ///
    /// A sentence for the operator, without the secret.
    pub(crate) fn from_hex(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected 32 random bytes as 64 hexadecimal digits: `portcullis keygen` makes them";
        let seed = hex::decode(text.trim()).map_err(|_| EXPECTED)?;
        if seed.len() != SEED {
            return Err(EXPECTED);
        }
        if seed.iter().all(|byte| Some(byte) == seed.first()) {
            return Err("its bytes are all the same: `portcullis keygen` makes a random one");
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| EXPECTED)?;
        Ok(Self(Arc::new(pair)))
    }

    /// The half that verifies.
    pub(crate) fn public(&self) -> AuditPublicKey {
        let mut bytes = [0; PUBLIC];
        let public = self.0.public_key().as_ref();
        bytes.iter_mut().zip(public).for_each(|(to, from)| *to = *from);
        AuditPublicKey(bytes)
    }

    /// Signs a checkpoint with this text that follows a line with this hash. The signature is in hexadecimal digits.
    pub(super) fn sign(&self, before: &Hash, text: &[u8]) -> String {
        hex::encode(self.0.sign(&signed(before, text)))
    }
}

impl PartialEq for AuditKey {
    fn eq(&self, other: &Self) -> bool {
        self.public() == other.public()
    }
}

impl Eq for AuditKey {}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(…)")
    }
}

/// The public half of a key, which verifies signatures of checkpoints. It is written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AuditPublicKey([u8; PUBLIC]);

impl AuditPublicKey {
    /// Whether a checkpoint with this text, which follows a line with this hash, has a signature of this key.
    pub(super) fn verifies(&self, before: &Hash, text: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(&signed(before, text), signature).is_ok()
    }
}

impl fmt::Display for AuditPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for AuditPublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; PUBLIC];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err("expected 64 hexadecimal digits, as public_key has them in the log"),
        }
    }
}

/// What is signed. The words at its beginning keep a signature from meaning something elsewhere.
fn signed(before: &Hash, text: &[u8]) -> Vec<u8> {
    [b"portcullis audit checkpoint\0", before.bytes(), text].concat()
}

const SEED: usize = 32;
const PUBLIC: usize = 32;
/// The length of a signature, in bytes (RFC 8032, section 5.1.6).
pub(super) const SIGNATURE: usize = 64;
