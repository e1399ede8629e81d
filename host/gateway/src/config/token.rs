//! Secrets of 32 bytes that the gateway shares with programs that call it: with fronts, and with an operator's.

use std::fmt;

use http::HeaderValue;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::secret::secret;
use subtle::ConstantTimeEq;

/// A secret of 32 bytes, written as 64 hexadecimal digits: the format of dask-gateway's `DASK_GATEWAY_PROXY_TOKEN`.
#[derive(Clone)]
pub(crate) struct Token([u8; TOKEN]);

impl Token {
    /// Reads a token from the file or variable to which a value refers.
    pub(super) fn read(item: Item<'_>) -> Option<Self> {
        let place = item.place.clone();
        Self::from_hex(secret(item)?.expose())
            .map_err(|message| place.report(message))
            .ok()
    }

    /// Parses 64 hexadecimal digits.
    pub(super) fn from_hex(text: &str) -> Result<Self, String> {
        let token = decode(text.trim().as_bytes())
            .ok_or("expected 32 random bytes as 64 hexadecimal digits: `portcullis keygen` makes them")?;
        if token.iter().all(|byte| Some(byte) == token.first()) {
            return Err("its bytes are all the same: `portcullis keygen` makes a random one".to_owned());
        }
        Ok(Self(token))
    }

    /// Whether a header's value is this token. The comparison takes constant time.
    pub(crate) fn is(&self, value: &HeaderValue) -> bool {
        self.is_hex(value.as_bytes())
    }

    /// Whether the value of `Authorization` has this token as a bearer token (RFC 6750, section 2.1).
    pub(crate) fn is_bearer(&self, value: &HeaderValue) -> bool {
        let token = value.as_bytes().split_at_checked(BEARER.len());
        token.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case(BEARER) && self.is_hex(token))
    }

    /// The value of `Authorization` that has this token.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        let text = [BEARER, hex::encode(self.0).as_bytes()].concat();
        let mut value = HeaderValue::from_bytes(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn is_hex(&self, text: &[u8]) -> bool {
        decode(text).is_some_and(|sent| self.0.ct_eq(&sent).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn decode(text: &[u8]) -> Option<[u8; TOKEN]> {
    let mut token = [0; TOKEN];
    hex::decode_to_slice(text, &mut token).ok()?;
    Some(token)
}

const TOKEN: usize = 32;
const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn only_the_complete_token_matches() {
        let token = Token::from_hex(&format!("{TEXT}\n")).unwrap();
        let is = |text: &str| token.is(&HeaderValue::from_str(text).unwrap());
        assert!(is(TEXT) && is(&TEXT.to_uppercase()));
        for text in [
            "",
            "00",
            &TEXT[..62],
            &format!("{TEXT}00"),
            &TEXT.replace("1f", "1e"),
            &"zz".repeat(32),
        ] {
            assert!(!is(text), "{text}");
        }
        assert!(!format!("{token:?}").contains("0102"));
    }

    #[test]
    fn it_is_a_bearer_token_too() {
        let token = Token::from_hex(TEXT).unwrap();
        let is = |text: &str| token.is_bearer(&HeaderValue::from_str(text).unwrap());
        assert!(token.is_bearer(&token.bearer().unwrap()) && token.bearer().unwrap().is_sensitive());
        assert!(is(&format!("bearer {TEXT}")));
        for text in [
            TEXT,
            "",
            "Bearer",
            "Bearer ",
            &format!("Basic  {TEXT}"),
            &format!("Bearer {TEXT}0"),
        ] {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn weak_and_malformed_tokens_are_rejected() {
        for text in ["", "x", &TEXT[..62], &"00".repeat(32), &"zz".repeat(32)] {
            assert!(Token::from_hex(text).is_err(), "{text}");
        }
    }
}
