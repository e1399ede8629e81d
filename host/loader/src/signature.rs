//! Minisign signatures of components. A signature says whose key signed exactly these bytes; it says nothing about the name
//! or the age of a component.

use std::ffi::OsString;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::PublicKey;

/// The maximum size of a signature or of a public key, in bytes.
pub const MAX_SIGNATURE: u64 = 4096;

/// The path of a component's signature: `NAME.wasm.minisig` for `NAME.wasm`.
pub fn beside(component: &Path) -> PathBuf {
    let mut path = OsString::from(component);
    path.push(".minisig");
    path.into()
}

/// The identifier that a key has in its file and in its signatures. It is written as minisign does, without zeros in front.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Reads it from a key or signature in base64. Both begin with two bytes for the algorithm, and then have it.
    fn read(base64: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(base64).ok()?;
        Some(Self(bytes.get(2..10)?.try_into().ok()?))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", u64::from_le_bytes(self.0))
    }
}

/// A public key whose signatures are accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedKey {
    id: KeyId,
    key: PublicKey,
}

impl TrustedKey {
    /// Reads a key in base64, alone or below a comment, as in the file that `minisign -G` writes. The error is the rest of a
    /// sentence that begins with what the text is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = Vec::from_iter(text.lines().map(str::trim).filter(|line| !line.is_empty()));
        let key = match lines.as_slice() {
            [key] => Some(*key),
            [comment, key] if comment.starts_with("untrusted comment:") => Some(*key),
            _ => None,
        };
        let key = key.and_then(|text| {
            Some(Self {
                id: KeyId::read(text)?,
                key: PublicKey::from_base64(text).ok()?,
            })
        });
        key.ok_or_else(|| "is no public key of minisign: it has 56 characters and begins with RW".to_owned())
    }
}

/// The public keys whose signatures are accepted. If there are none, no signature is accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedKeys(Vec<TrustedKey>);

impl FromIterator<TrustedKey> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = TrustedKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Hash for TrustedKeys {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for key in &self.0 {
            key.id.hash(state);
        }
    }
}

impl fmt::Display for TrustedKeys {
    /// The identifiers of the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Vec::from_iter(self.0.iter().map(|key| key.id.to_string())).join(", "))
    }
}

impl TrustedKeys {
    /// Verifies that a signature is of exactly these bytes, and by one of the keys. The error is the rest of a sentence that
    /// begins with the file of the signature.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), String> {
        if !signature.is_prehashed {
            return Err(
                "is in minisign's legacy format, which isn't accepted: sign again with minisign 0.10 or newer \
                        without -l, or with an older one and -H"
                    .to_owned(),
            );
        }
        let named = Vec::from_iter(self.0.iter().filter(|key| key.id == signature.key));
        if named.is_empty() {
            let key = signature.key;
            return Err(format!("is by the key {key}, which isn't trusted; trusted: {self}"));
        }
        let verify = |key: &&TrustedKey| key.key.verify(bytes, &signature.inner, false).is_ok();
        if !named.iter().any(verify) {
            return Err(format!(
                "doesn't hold: since the key {} signed, the component or the signature was changed, or it is the \
                 signature of another file",
                signature.key
            ));
        }
        Ok(())
    }
}

/// A signature. Nothing that it says is known to be true before [`TrustedKeys::verify`].
#[derive(Clone)]
pub struct Signature {
    key: KeyId,
    is_prehashed: bool,
    inner: minisign_verify::Signature,
}

impl Signature {
    /// Reads the content of a signature file. The error is the rest of a sentence that begins with the file's name.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).ok();
        let signature = text.and_then(|text| {
            let signed = text.lines().nth(1)?;
            Some(Self {
                key: KeyId::read(signed)?,
                // The first two bytes are ED instead of Ed.
                is_prehashed: signed.starts_with("RU"),
                inner: minisign_verify::Signature::decode(text).ok()?,
            })
        });
        signature.ok_or_else(|| "is no signature of minisign: expected its four lines".to_owned())
    }

    /// Who made it, and the comment that is signed with it.
    pub fn signer(&self) -> Signer {
        let comment = self.inner.trusted_comment().chars().take(MAX_COMMENT);
        Signer {
            key: self.key,
            comment: comment.collect::<String>().escape_debug().to_string(),
        }
    }
}

/// How many characters of a comment are shown.
const MAX_COMMENT: usize = 200;

/// The key that made a signature, and the comment that it signed, escaped and shortened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signer {
    key: KeyId,
    comment: String,
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    /// By minisign's author, of the text `test`.
    const GOOD: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==
";
    const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966\tfile:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==
";

    fn verified(keys: &[TrustedKey], bytes: &[u8], signature: &str) -> Result<String, String> {
        let signature = Signature::parse(signature.as_bytes())?;
        let keys = keys.iter().cloned().collect::<TrustedKeys>();
        keys.verify(bytes, &signature).map(|()| signature.signer().to_string())
    }

    #[test]
    fn a_signature_holds_for_its_bytes_and_a_trusted_key() {
        let key = TrustedKey::parse(KEY).unwrap();
        let other = TrustedKey::parse(&KEY.replace("RWQf", "RWQe")).unwrap();
        // Whoever wants to look like a known signer can take its identifier.
        let same_id = TrustedKey::parse(&KEY.replace("GFO3", "GFO4")).unwrap();
        let all = [other.clone(), same_id.clone(), key.clone()];
        let one = std::slice::from_ref(&key);
        let by_comment = GOOD.replace("timestamp:1", "timestamp:2");
        for (keys, bytes, signature, expected) in [
            (
                &all[..],
                "test",
                GOOD,
                "E7620F1842B4E81F (timestamp:1556193335\\tfile:test)",
            ),
            (one, "test", GOOD, "E7620F1842B4E81F (timestamp:1556193335\\tfile:test)"),
            (one, "Test", GOOD, "doesn't hold"),
            (one, "", GOOD, "doesn't hold"),
            (one, "test", &by_comment, "doesn't hold"),
            (&[same_id], "test", GOOD, "doesn't hold"),
            (one, "test", LEGACY, "legacy format"),
            (
                &[other],
                "test",
                GOOD,
                "is by the key E7620F1842B4E81F, which isn't trusted; trusted: E7620F1842B4E81E",
            ),
            (&[], "test", GOOD, "isn't trusted"),
        ] {
            let said = verified(keys, bytes.as_bytes(), signature);
            assert_eq!(said.is_ok(), expected.starts_with("E7"), "{said:?}");
            let said = said.unwrap_or_else(|error| error);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let key = [TrustedKey::parse(KEY).unwrap()];
        let lines = Vec::from_iter(GOOD.lines());
        for text in [
            String::new(),
            "\0".repeat(4096),
            lines[..3].join("\n"),
            lines.join(""),
            format!("\n{GOOD}"),
            GOOD.replace("RUQ", "XXX"),
            GOOD.replace("trusted comment: t", "trusted comment t"),
            GOOD.replace("Zwo=", "Zw"),
            GOOD.replace("hEBg==", ""),
        ] {
            let error = verified(&key, b"test", &text).unwrap_err();
            assert!(error.starts_with("is no signature of minisign"), "{text:?}: {error}");
        }
        assert!(Signature::parse(b"\xff\n\xff").is_err());
    }

    #[test]
    fn a_key_stands_alone_or_below_its_comment() {
        let key = TrustedKey::parse(KEY).unwrap();
        for text in [
            format!("{KEY}\n"),
            format!("untrusted comment: minisign public key E7620F1842B4E81F\n{KEY}\n"),
            format!("untrusted comment:\r\n{KEY}\r\n"),
        ] {
            assert_eq!(TrustedKey::parse(&text).as_ref(), Ok(&key), "{text:?}");
        }
        for text in [
            "",
            "RW",
            &KEY[..55],
            &KEY.replace("RW", "AA"),
            &format!("{KEY}{KEY}"),
            &format!("{KEY}\n{KEY}"),
            &format!("comment\n{KEY}"),
            &format!("{KEY}\nuntrusted comment:"),
            GOOD,
        ] {
            assert!(TrustedKey::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_comment_is_shown_escaped_and_short() {
        let comment = format!("\u{1b}[31m{}", "ä".repeat(2000));
        let text = GOOD.replace("timestamp:1556193335", &comment);
        let shown = Signature::parse(text.as_bytes()).unwrap().signer().to_string();
        assert!(shown.starts_with(r"E7620F1842B4E81F (\u{1b}[31mää"), "{shown}");
        assert!(shown.chars().count() < 300);
    }

    #[test]
    fn an_identifier_is_written_as_minisign_does() {
        for (bytes, expected) in [
            ([0x1f, 0xe8, 0xb4, 0x42, 0x18, 0x0f, 0x62, 0xe7], "E7620F1842B4E81F"),
            ([0x1f, 0xe8, 0xb4, 0x42, 0x18, 0x0f, 0x62, 0x07], "7620F1842B4E81F"),
            ([0; 8], "0"),
        ] {
            assert_eq!(KeyId(bytes).to_string(), expected);
        }
    }

    #[test]
    fn a_signature_lies_beside_its_component() {
        assert_eq!(beside(Path::new("p/a.wasm")), Path::new("p/a.wasm.minisig"));
    }
}
