//! The key of a decision: a keyed hash of the answers that led to it. The hash doesn't reveal the answers, which may be
//! tokens, and without its secret a client can't construct two answers with the same hash.

use aws_lc_rs::hmac;

use crate::decision::Attribute;
use crate::grants::Grants;
use crate::question;
use crate::request::AuthRequest;

/// Equal keys mean equal answers to equal questions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key([u8; 32]);

/// HMAC-SHA-256 (RFC 2104) with a key that never leaves the process.
pub(super) struct Hasher(hmac::Key);

impl Hasher {
    /// The secret comes from the system. The generator of AWS-LC gathers entropy of its own at its first use, for 40 ms in which
    /// nothing could be served yet.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The key of a request. `about` tells apart what must not be mixed up.
    pub(super) fn key(&self, about: [u64; 3], questions: &[Attribute], request: &AuthRequest, grants: &Grants) -> Key {
        let mut hash = hmac::Context::with_key(&self.0);
        for number in about {
            hash.update(&number.to_le_bytes());
        }
        for question in questions {
            // Each value has its length before it, so that two lists of values are never the same bytes.
            if question::is_granted(question, grants) {
                question::answer(question, request, grants, |value| {
                    hash.update(&[1]);
                    hash.update(&(value.len() as u64).to_le_bytes());
                    hash.update(value);
                });
            }
            hash.update(&[0]);
        }
        let mut key = [0; 32];
        key.copy_from_slice(hash.sign().as_ref());
        Key(key)
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}
