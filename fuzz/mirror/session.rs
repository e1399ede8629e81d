//! The keys of session cookies, and a way to what only sessions may do.

#[path = "../../host/core/src/session/key.rs"]
mod key;

pub(crate) use self::key::Key;
pub(crate) use self::key::KeyRing;

pub(crate) fn seal(ring: &KeyRing, cookie: &str, bytes: &[u8]) -> Option<String> {
    ring.seal(cookie, bytes)
}

pub(crate) fn open(ring: &KeyRing, cookie: &str, text: &[u8]) -> Option<Vec<u8>> {
    ring.open(cookie, text)
}
