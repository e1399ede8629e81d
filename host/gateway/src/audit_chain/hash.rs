//! SHA-256 (FIPS 180-4), which links the lines of an audit log.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;

/// The hash of a line. It is written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Hash([u8; Self::LENGTH]);

impl Hash {
    /// In bytes.
    pub(crate) const LENGTH: usize = 32;

    /// The hash of a line with this text, before its own hash, that follows a line with the hash `self`.
    pub(super) fn followed_by(&self, text: &[u8]) -> Self {
        sha256(&[&self.0, text].concat())
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The hash of these bytes.
pub(super) fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; Hash::LENGTH];
    let digest = digest(&SHA256, bytes);
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    Hash(hash)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    /// Only digits in lower case are accepted: with both, a line could be changed without changing its hash.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0; Self::LENGTH];
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut hash) {
            Ok(()) if is_lower => Ok(Self(hash)),
            _ => Err("expected 64 hexadecimal digits in lower case"),
        }
    }
}
