//! What an operator revokes: one session, or all those of a user, of an authenticator, or of everybody. Each is a key in the list of
//! revocations.

use std::sync::Arc;

use aws_lc_rs::digest;

use super::revocation::Key;
use super::sealed::Sealed;
use super::sealed::SessionId;

/// Which sessions an operator ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RevocationScope {
    /// The one with this id, its later renewals included.
    Session(SessionId),
    /// Those of the users of this name, whichever authenticator named them.
    User(Arc<str>),
    /// Those that the authenticator of this name has begun.
    Authenticator(Arc<str>),
    /// All.
    Everybody,
}

/// How the key begins of what an operator named. An id that happens to begin like this costs some digests, and nothing else.
const OF_OPERATOR: [u8; 4] = *b"oper";

impl RevocationScope {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Session(id) => id.0,
            Self::User(name) => key(b"user", name),
            Self::Authenticator(name) => key(b"authenticator", name),
            Self::Everybody => key(b"everybody", ""),
        }
    }
}

fn key(kind: &[u8], name: &str) -> Key {
    let parts = [b"portcullis revoked ".as_slice(), kind, b"\0", name.as_bytes()];
    let sum = digest::digest(&digest::SHA256, &parts.concat());
    let mut key = Key::default();
    for (byte, from) in key.iter_mut().zip(OF_OPERATOR.iter().chain(sum.as_ref())) {
        *byte = *from;
    }
    key
}

/// Whether an operator has named what has this key.
pub(super) fn is_of_operator(key: &Key) -> bool {
    key.starts_with(&OF_OPERATOR)
}

/// The keys of the scopes that a session shares with others.
pub(super) fn shared(session: &Sealed) -> [Key; 3] {
    [
        key(b"user", session.identity.name()),
        key(b"authenticator", &session.authenticator),
        key(b"everybody", ""),
    ]
}
