//! The digest of what a registry has: `sha256:` and 64 hexadecimal digits (OCI image specification, "Digests"). Others, such as
//! `sha512:`, are rejected, because nothing here writes them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

/// The SHA-256 of a manifest or blob.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(sum)
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    /// The digits are in small letters, as the specification says, so that a digest has one form.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected \"sha256:\" and 64 hexadecimal digits in small letters";
        let digits = text.strip_prefix("sha256:").ok_or(EXPECTED)?;
        if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(EXPECTED);
        }
        let mut sum = [0; 32];
        hex::decode_to_slice(digits, &mut sum).map_err(|_| EXPECTED)?;
        Ok(Self(sum))
    }
}
