//! The key of a decision: a keyed hash of the answers that led to it. The hash doesn't reveal the answers, which may be
//! tokens, and without its secret a client can't construct two answers with the same hash.

use aws_lc_rs::hmac;

use crate::decision::Attribute;
use crate::decision::Authenticated;
use crate::grants::Grants;
use crate::question;
use crate::request::AuthRequest;

/// Equal keys mean equal answers to equal questions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key([u8; 32]);

/// A digest of all that an authorizer is told about a user. Equal digests mean equal users.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UserDigest([u8; 32]);

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

    /// The digest of a user.
    pub(super) fn user(&self, user: &Authenticated) -> UserDigest {
        let identity = user.identity();
        let mut hash = hmac::Context::with_key(&self.0);
        // Each text has its length before it, and each list the number of its items.
        let mut number = |number: usize| hash.update(&(number as u64).to_le_bytes());
        number(usize::from(identity.admin()));
        number(identity.groups().len());
        number(identity.attributes().count());
        let own = [user.authenticator(), identity.name()].into_iter();
        let groups = identity.groups().iter().map(String::as_str);
        let attributes = identity.attributes().flat_map(|(name, value)| [name, value]);
        for text in own.chain(groups).chain(attributes) {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        UserDigest(whole(hash))
    }

    /// The key of a request, of this user if the plugin is told who that is. `about` tells apart what must not be mixed up.
    pub(super) fn key(
        &self,
        about: [u64; 3],
        user: Option<&UserDigest>,
        questions: &[Attribute],
        request: &AuthRequest,
        grants: &Grants,
    ) -> Key {
        let mut hash = hmac::Context::with_key(&self.0);
        for number in about {
            hash.update(&number.to_le_bytes());
        }
        match user {
            Some(UserDigest(digest)) => {
                hash.update(&[1]);
                hash.update(digest);
            }
            None => hash.update(&[0]),
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
        Key(whole(hash))
    }
}

fn whole(hash: hmac::Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.sign().as_ref());
    digest
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}
