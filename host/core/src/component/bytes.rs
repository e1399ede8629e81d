//! The bytes of a component. They are hashed once, however many authenticators use it.

use std::fmt;

use ::bytes::Bytes;

use super::digest::Digest;

/// The bytes of a component before compilation, and their SHA-256. A clone shares them.
#[derive(Clone)]
pub struct ComponentBytes {
    bytes: Bytes,
    digest: Digest,
}

impl ComponentBytes {
    /// Hashes the bytes. A vector isn't copied.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        Self { bytes, digest }
    }

    /// Their SHA-256.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl AsRef<[u8]> for ComponentBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for ComponentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ComponentBytes").field(&self.digest).finish()
    }
}
