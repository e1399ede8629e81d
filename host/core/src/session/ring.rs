//! Seals and opens session cookies. A cookie is sealed by AES-256-GCM with a random nonce and bound to its name; the first
//! key of a ring seals and all keys open, so that a key can be replaced while its sessions stay valid.

use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::KeyInit;
use aes_gcm::Nonce;
use aes_gcm::aead::Aead;
use aes_gcm::aead::Payload;
use aws_lc_rs::digest;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::key::Key;
use super::key::KeyError;

const ID: usize = 4;
const NONCE: usize = 12;

/// The version of the format. A cookie of another version is as good as none.
const VERSION: u8 = 3;

/// What a cookie is for. One that was sealed for one purpose doesn't open for another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// An attempt to log in.
    Flow,
    /// A session.
    Session,
    /// What another gateway is told of sessions that are over.
    Revocations,
    /// What is kept in a store that several processes share.
    Stored,
}

impl Purpose {
    /// Its part of the associated data. None is the beginning of another.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Flow => b"portcullis flow",
            Self::Session => b"portcullis session",
            Self::Revocations => b"portcullis revocations",
            Self::Stored => b"portcullis stored",
        }
    }
}

/// The longest text that is decoded, in bytes. The gateway's own cookies are shorter.
const MAX_TEXT: usize = 8 * 1024;

/// The keys in use. The first one seals; all of them open.
pub struct KeyRing(Vec<RingKey>);

struct RingKey {
    id: [u8; ID],
    cipher: Aes256Gcm,
}

impl KeyRing {
    /// A ring of these keys.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, KeyError> {
        let keys = keys.into_iter().map(|key| {
            let named = Zeroizing::new([b"portcullis key id".as_slice(), key.as_bytes()].concat());
            let sum = digest::digest(&digest::SHA256, &named);
            let id = sum
                .as_ref()
                .first_chunk()
                .copied()
                .ok_or(KeyError("the key has no id"))?;
            let cipher = Aes256Gcm::new_from_slice(key.as_bytes()).map_err(|_| KeyError("the key can't be used"))?;
            Ok(RingKey { id, cipher })
        });
        let keys: Vec<_> = keys.collect::<Result<_, KeyError>>()?;
        if keys.is_empty() {
            Err(KeyError("there is no key"))
        } else {
            Ok(Self(keys))
        }
    }

    /// Seals bytes for a session cookie of this name.
    pub fn seal(&self, cookie: &str, bytes: &[u8]) -> Option<String> {
        self.seal_for(Purpose::Session, cookie, bytes)
    }

    /// Opens bytes that one of the keys sealed for a session cookie of this name.
    pub fn open(&self, cookie: &str, text: &[u8]) -> Option<Vec<u8>> {
        self.open_for(Purpose::Session, cookie, text)
    }

    /// Whether a cookie has the format of another version of this program.
    pub(super) fn is_of_other_version(text: &[u8]) -> bool {
        let start = text
            .get(..4)
            .and_then(|start| BASE64_URL_SAFE_NO_PAD.decode(start).ok());
        start.is_some_and(|start| start.first() != Some(&VERSION))
    }

    /// Seals bytes for a cookie of this name and purpose.
    pub(super) fn seal_for(&self, purpose: Purpose, cookie: &str, bytes: &[u8]) -> Option<String> {
        Some(BASE64_URL_SAFE_NO_PAD.encode(self.seal_bytes(purpose, cookie, bytes)?))
    }

    /// Opens bytes that one of the keys sealed for a cookie of this name and purpose.
    pub(super) fn open_for(&self, purpose: Purpose, cookie: &str, text: &[u8]) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.get(..text.len().min(MAX_TEXT))?)
            .ok()?;
        self.open_bytes(purpose, cookie, &bytes)
    }

    /// Seals bytes for this name and purpose.
    pub(super) fn seal_bytes(&self, purpose: Purpose, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let RingKey { id, cipher } = self.0.first()?;
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).ok()?;
        let bound = Payload {
            msg: bytes,
            aad: &bind(purpose, name, id),
        };
        let sealed = cipher.encrypt(&Nonce::from(nonce), bound).ok()?;
        let parts = [&[VERSION], id.as_slice(), nonce.as_slice(), &sealed];
        Some(parts.concat())
    }

    /// Opens bytes that one of the keys sealed for this name and purpose.
    pub(super) fn open_bytes(&self, purpose: Purpose, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let (&[VERSION], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (id, rest) = rest.split_first_chunk::<ID>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let own = self.0.iter().filter(|key| key.id == *id);
        own.map(|RingKey { cipher, .. }| {
            let bound = Payload {
                msg: sealed,
                aad: &bind(purpose, name, id),
            };
            cipher.decrypt(&Nonce::from(*nonce), bound)
        })
        .find_map(Result::ok)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

/// The associated data of a cookie. The name comes last, after fields of fixed length, so that different cookies never
/// have the same associated data.
fn bind(purpose: Purpose, cookie: &str, id: &[u8; ID]) -> Vec<u8> {
    [purpose.label(), &[VERSION], id, cookie.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[&Key]) -> KeyRing {
        KeyRing::new(keys.iter().map(|key| (*key).clone())).unwrap()
    }

    #[test]
    fn a_secret_is_replaced_without_ending_a_session() {
        let (old, new) = (Key::generate().unwrap(), Key::generate().unwrap());
        let before = ring(&[&old]).seal("c", b"session").unwrap();
        let after = ring(&[&new, &old]);
        assert_eq!(after.open("c", before.as_bytes()).as_deref(), Some(&b"session"[..]));
        let sealed = after.seal("c", b"session").unwrap();
        assert!(ring(&[&new]).open("c", sealed.as_bytes()).is_some());
        assert!(ring(&[&old]).open("c", sealed.as_bytes()).is_none());
    }

    /// The cookie was sealed by another implementation of AES-256-GCM: the format doesn't depend on the crate.
    #[test]
    fn the_format_of_cookies_stays() {
        let key = Key::from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap();
        let sealed = b"A6Qg47tkZWZnaGlqa2xtbm87fq0VEIY4vYDG9ArdjeTksB8lXpJNfA";
        assert_eq!(ring(&[&key]).open("c", sealed).as_deref(), Some(&b"session"[..]));
    }

    #[test]
    fn no_byte_of_a_cookie_can_be_changed() {
        let ring = ring(&[&Key::generate().unwrap()]);
        let sealed = ring.seal("c", b"session").unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(
                ring.open("c", BASE64_URL_SAFE_NO_PAD.encode(changed).as_bytes()),
                None,
                "{index}"
            );
            let cut = BASE64_URL_SAFE_NO_PAD.encode(&bytes[..index]);
            assert_eq!(ring.open("c", cut.as_bytes()), None, "{index}");
        }
        assert_eq!(ring.open("other", sealed.as_bytes()), None);
        assert_eq!(ring.open("c", b"\xff"), None);
    }

    #[test]
    fn a_cookie_opens_for_its_purpose_and_name_only() {
        let ring = ring(&[&Key::generate().unwrap()]);
        let purposes = [Purpose::Flow, Purpose::Session, Purpose::Revocations];
        for purpose in purposes {
            for name in ["a", "b"] {
                let sealed = ring.seal_for(purpose, name, b"x").unwrap();
                for (other, other_name) in purposes.map(|other| ["a", "b"].map(|name| (other, name))).concat() {
                    let opened = ring.open_for(other, other_name, sealed.as_bytes());
                    assert_eq!(
                        opened.is_some(),
                        (other, other_name) == (purpose, name),
                        "{purpose:?} {name}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_cookie_of_another_version_is_recognised() {
        let sealed = ring(&[&Key::generate().unwrap()]).seal("c", b"session").unwrap();
        for (text, is_other) in [
            (sealed.as_str(), false),
            ("AqQg47tk", true),
            ("BKQg47tk", true),
            ("", false),
            ("Aw", false),
            ("????", false),
        ] {
            assert_eq!(KeyRing::is_of_other_version(text.as_bytes()), is_other, "{text}");
        }
    }

    #[test]
    fn the_same_session_never_looks_the_same() {
        let ring = ring(&[&Key::generate().unwrap()]);
        assert_ne!(ring.seal("c", b"session"), ring.seal("c", b"session"));
    }

    #[test]
    fn a_cookie_of_more_than_8_kib_is_not_opened() {
        let ring = ring(&[&Key::generate().unwrap()]);
        // 33 bytes are version, id, nonce and tag; 4 characters of a cookie are 3 bytes.
        let longest = 8 * 1024 / 4 * 3 - 33;
        for (length, is_opened) in [(longest, true), (longest + 1, false)] {
            let sealed = ring.seal("c", &vec![0; length]).unwrap();
            assert_eq!(
                ring.open("c", sealed.as_bytes()).is_some(),
                is_opened,
                "{}",
                sealed.len()
            );
        }
    }

    #[test]
    fn there_is_no_ring_without_a_key() {
        assert!(KeyRing::new([]).is_err());
    }
}
