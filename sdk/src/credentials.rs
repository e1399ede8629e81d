//! Reads credentials from the `Authorization` header (RFC 9110, section 11.6.2). Malformed credentials are told apart
//! from absent ones, because the gateway asks the next authenticator only if there are none.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;

use crate::Challenge;
use crate::Refusal;

/// The longest accepted token, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// The longest accepted token of the Negotiate scheme, in bytes. Active Directory tickets list every group of a user.
const MAX_NEGOTIATE: usize = 64 * 1024;

/// A user name and a password (RFC 7617).
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct BasicCredentials {
    /// The part before the first colon. It may be empty.
    pub user: String,
    /// The part after the first colon. It may be empty and may contain colons.
    pub password: String,
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// An opaque token of at most 8 KiB of visible ASCII characters, so that it can be sent on in a header.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(String);

impl Token {
    /// Validates a token from any part of a request, such as a cookie. Returns `None` if it is empty, longer than 8
    /// KiB, or contains anything but visible ASCII characters.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let valid = (1..=MAX_TOKEN).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        valid.then(|| Self(String::from_utf8_lossy(value).into_owned()))
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

/// Why a request has no usable credentials of a scheme.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NoCredentials {
    /// There are no credentials, or they are of another scheme.
    Absent,
    /// There are credentials of the scheme, but they can't be read. The text says why, without quoting them.
    Malformed(&'static str),
}

impl NoCredentials {
    /// Converts this into a refusal: [`Refusal::NotMine`] for absent credentials, [`Refusal::Unauthenticated`] for
    /// malformed ones.
    pub fn refuse(self, challenge: Challenge) -> Refusal {
        match self {
            Self::Absent => Refusal::not_mine(challenge),
            Self::Malformed(reason) => Refusal::unauthenticated(reason, challenge),
        }
    }
}

/// Reads a user name and a password from the values of `Authorization`.
///
/// RFC 7617 leaves the encoding open. UTF-8 is tried first, because the challenge asks for it, then Latin-1, which
/// older clients send.
pub(crate) fn basic(authorization: &[Vec<u8>]) -> Result<BasicCredentials, NoCredentials> {
    let encoded = of_scheme(authorization, &["basic"])?;
    let decoded = BASE64
        .decode(encoded)
        .map_err(|_| NoCredentials::Malformed("Basic credentials are not base64"))?;
    let text = String::from_utf8(decoded).unwrap_or_else(|e| e.into_bytes().iter().copied().map(char::from).collect());
    if text.chars().any(char::is_control) {
        return Err(NoCredentials::Malformed("Basic credentials have control characters"));
    }
    let Some((user, password)) = text.split_once(':') else {
        return Err(NoCredentials::Malformed("Basic credentials have no colon"));
    };
    Ok(BasicCredentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

/// Reads a token of one of these schemes from the values of `Authorization`.
pub(crate) fn token(authorization: &[Vec<u8>], schemes: &[&str]) -> Result<Token, NoCredentials> {
    let token = of_scheme(authorization, schemes)?;
    Token::parse(token).ok_or(NoCredentials::Malformed(
        "the token is empty, too long or contains invalid characters",
    ))
}

/// Reads a token of the Negotiate scheme from the values of `Authorization`.
pub(crate) fn negotiate(authorization: &[Vec<u8>]) -> Result<Vec<u8>, NoCredentials> {
    let encoded = of_scheme(authorization, &["negotiate"])?;
    // The size is checked before decoding, so that an oversized token costs no work.
    if encoded.len() > MAX_NEGOTIATE.div_ceil(3) * 4 {
        return Err(NoCredentials::Malformed("the Negotiate token is too long"));
    }
    match BASE64.decode(encoded) {
        Ok(token) if token.is_empty() => Err(NoCredentials::Malformed("the Negotiate token is empty")),
        Ok(token) => Ok(token),
        Err(_) => Err(NoCredentials::Malformed("the Negotiate token is not base64")),
    }
}

/// Returns the credentials after the scheme. More than one `Authorization` header is always malformed, because a proxy
/// on the way may have checked another one.
fn of_scheme<'a>(authorization: &'a [Vec<u8>], schemes: &[&str]) -> Result<&'a [u8], NoCredentials> {
    let value = match authorization {
        [] => return Err(NoCredentials::Absent),
        [value] => value.trim_ascii(),
        _ => return Err(NoCredentials::Malformed("more than one Authorization header")),
    };
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, credentials) = value.split_at(end);
    if !schemes
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(scheme))
    {
        return Err(NoCredentials::Absent);
    }
    Ok(credentials.trim_ascii_start())
}

/// The standard alphabet (RFC 4648, section 4). Padding is optional, since some clients omit it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn basic_of(value: &[u8]) -> Result<(String, String), NoCredentials> {
        basic(&[value.to_vec()]).map(|credentials| (credentials.user, credentials.password))
    }

    #[test]
    fn basic_credentials_are_read_in_every_spelling_that_clients_use() {
        let cases: [(&[u8], &str, &str); 8] = [
            (b"Basic YWxpY2U6cHc=", "alice", "pw"),
            (b"bAsIc YWxpY2U6cHc=", "alice", "pw"),
            (b"Basic   YWxpY2U6cHc= ", "alice", "pw"),
            (b"Basic YWxpY2U6cHc", "alice", "pw"),
            (b"Basic YWxpY2U6YTpi", "alice", "a:b"),
            (b"Basic Og==", "", ""),
            (b"Basic asOkbjpw", "jän", "p"), // UTF-8
            (b"Basic auRuOnA=", "jän", "p"), // Latin-1
        ];
        for (value, user, password) in cases {
            assert_eq!(
                basic_of(value),
                Ok((user.into(), password.into())),
                "{}",
                value.escape_ascii()
            );
        }
    }

    #[test]
    fn unreadable_basic_credentials_are_malformed() {
        let cases: [&[u8]; 9] = [
            b"Basic",
            b"Basic ",
            b"Basic !!!",
            b"Basic YWxpY2U=",       // no colon
            b"Basic YWxpY2U6cHc=!!", // garbage after
            b"Basic YWxpY2U6cHc= x",
            b"Basic YWxpY2U6c", // cut short
            b"Basic YQA6cHc=",  // NUL
            b"Basic gDpw",      // U+0080 in Latin-1
        ];
        for value in cases {
            assert!(
                matches!(basic_of(value), Err(NoCredentials::Malformed(_))),
                "{}",
                value.escape_ascii()
            );
        }
    }

    #[test]
    fn credentials_of_another_scheme_are_absent() {
        for value in [
            &b""[..],
            b" ",
            b"Bearer x",
            b"Basicx YQ==",
            b"Basic\tYTpi",
            b"\xff\xfe a",
        ] {
            assert_eq!(basic_of(value), Err(NoCredentials::Absent), "{}", value.escape_ascii());
        }
        assert_eq!(basic(&[]), Err(NoCredentials::Absent));
    }

    #[test]
    fn two_authorization_headers_are_malformed() {
        let twice = [b"Basic YTpi".to_vec(), b"Bearer t".to_vec()];
        assert!(matches!(basic(&twice), Err(NoCredentials::Malformed(_))));
        assert!(matches!(token(&twice, &["bearer"]), Err(NoCredentials::Malformed(_))));
    }

    #[test]
    fn tokens_are_visible_ascii_of_bounded_length() {
        let of = |value: &[u8]| token(&[value.to_vec()], &["bearer", "token"]).map(|token| token.as_str().to_owned());
        assert_eq!(of(b"BEARER abc.def"), Ok("abc.def".into()));
        assert_eq!(of(b"token  abc"), Ok("abc".into()));
        assert_eq!(of(b"jupyterhub abc"), Err(NoCredentials::Absent));
        let long = [b"bearer ".to_vec(), vec![b'a'; MAX_TOKEN + 1]].concat();
        for value in [
            &b"bearer"[..],
            b"bearer a b",
            b"bearer a\tb",
            b"bearer \xc3\xa4",
            b"bearer a\0",
            &long,
        ] {
            assert!(
                matches!(of(value), Err(NoCredentials::Malformed(_))),
                "{}",
                value.escape_ascii()
            );
        }
    }

    #[test]
    fn negotiate_tokens_are_base64_of_bounded_length() {
        let of = |value: &[u8]| negotiate(&[value.to_vec()]);
        for value in [&b"Negotiate YAA="[..], b"NEGOTIATE  YAA= ", b"negotiate YAA"] {
            assert_eq!(of(value), Ok(vec![0x60, 0]), "{}", value.escape_ascii());
        }
        let longest = [b"Negotiate ".to_vec(), BASE64.encode([0; MAX_NEGOTIATE]).into_bytes()].concat();
        assert_eq!(of(&longest).unwrap().len(), MAX_NEGOTIATE);
        let longer = [b"Negotiate ".to_vec(), vec![b'A'; 4 * (MAX_NEGOTIATE / 3 + 2)]].concat();
        for value in [
            &b"Negotiate"[..],
            b"Negotiate ",
            b"Negotiate !!!!",
            b"Negotiate YAA= YAA=",
            b"Negotiate YA==A",
            b"Negotiate Y",
            &longer,
        ] {
            let read = of(value);
            assert!(
                matches!(read, Err(NoCredentials::Malformed(_))),
                "{}: {read:?}",
                value.escape_ascii()
            );
        }
        for value in [&b""[..], b"Negotiatex YAA=", b"NTLM TlRMTVNTUAAB", b"Kerberos YAA="] {
            assert_eq!(of(value), Err(NoCredentials::Absent), "{}", value.escape_ascii());
        }
        let twice = [b"Negotiate YAA=".to_vec(), b"Negotiate YAA=".to_vec()];
        assert!(matches!(negotiate(&twice), Err(NoCredentials::Malformed(_))));
    }

    #[test]
    fn debug_output_shows_neither_passwords_nor_tokens() {
        let shown = format!(
            "{:?} {:?}",
            basic(&[b"Basic YWxpY2U6aHVudGVyMg==".to_vec()]),
            Token::parse(b"hunter2")
        );
        assert!(shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    }
}
