//! A signed token in compact form (RFC 7515, section 7.1), parsed but not verified. Nothing in it is trusted yet.
//!
//! The parser is not that of the `jsonwebtoken` crate, which ignores `crit` and `b64`, collects every unknown header in
//! a tree of values before the signature is checked, and parses the header twice.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_sdk::crypto::Algorithm;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde_json::Map;
use serde_json::Value;

use crate::error::TokenError;
use crate::text::Text;
use crate::text::all_quoted;
use crate::text::one_of;
use crate::text::quoted;
use crate::text::shown;

/// A token, decoded but not verified.
pub struct Jws<'t> {
    /// The algorithm that the header names.
    pub algorithm: Algorithm,
    /// The key that the header names.
    pub key_id: Option<String>,
    /// The bytes that are signed.
    pub message: &'t [u8],
    /// The claims as JSON.
    pub payload: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The header as JSON.
    header: Vec<u8>,
    /// The `typ` of the header, without `application/` (RFC 7515, section 4.1.9).
    pub kind: Option<String>,
}

impl<'t> Jws<'t> {
    /// Parses a token.
    ///
    /// It is a JWS if it has three parts and the first is an encoded JSON object. A token of five parts is encrypted
    /// (RFC 7516), and one without such an object is in a format of its provider. Both are left to other
    /// authenticators.
    pub fn parse(token: &'t str, padding: Padding) -> Result<Self, TokenError> {
        let decode = |part| padding.decode(part);
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::NotJws)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::NotJws)?;
        if payload.contains('.') {
            return Err(TokenError::NotJws);
        }
        let json = decode(header)
            .filter(|json| json.trim_ascii_start().starts_with(b"{"))
            .ok_or(TokenError::NotJws)?;
        let header = Header::parse(&json)?;
        Ok(Self {
            algorithm: Algorithm::from_jose(&header.alg).ok_or_else(|| TokenError::Algorithm {
                found: quoted(&header.alg),
                problem: "which is not supported".to_owned(),
            })?,
            key_id: header.kid.map(|id| id.to_string()),
            message: message.as_bytes(),
            payload: utf8(decode(payload).ok_or(TokenError::Token("has a payload that is not base64url"))?)?,
            signature: decode(signature).ok_or(TokenError::Token("has a signature that is not base64url"))?,
            kind: header.typ.map(|typ| kind(&typ).to_owned()),
            header: json,
        })
    }

    /// The `iss` that the token claims. It is used to choose among the configured issuers and for nothing else.
    pub fn unverified_issuer(&self) -> Result<Option<Text<'_>>, TokenError> {
        #[derive(Deserialize)]
        struct Payload<'a> {
            #[serde(borrow)]
            iss: Option<Text<'a>>,
        }
        let payload: Payload<'_> = serde_json::from_slice(&self.payload).map_err(|_| {
            TokenError::Token("has a payload that is not a JSON object, or an iss that is not a string")
        })?;
        Ok(payload.iss)
    }

    /// Refuses a token whose header doesn't have this member with this text.
    pub fn require(&self, name: &str, expected: &str) -> Result<(), TokenError> {
        let header: Map<String, Value> =
            serde_json::from_slice(&self.header).map_err(|_| TokenError::Token("has a malformed header"))?;
        match header.get(name) {
            Some(Value::String(found)) if found == expected => Ok(()),
            found => Err(TokenError::Header {
                name: name.to_owned(),
                found: found.map_or_else(|| "missing".to_owned(), shown),
                expected: expected.to_owned(),
            }),
        }
    }

    /// Refuses a token of a type that is not listed, which may have been issued for another purpose (RFC 8725, section
    /// 3.11). Without a list, the type may be missing, or that of a JWT or an access token (RFC 9068, section 2.1).
    pub fn check_type(&self, listed: Option<&[String]>) -> Result<(), TokenError> {
        let found = self.kind.as_deref();
        let is_found = |known: &str| found.is_some_and(|typ| kind(known).eq_ignore_ascii_case(typ));
        let (accepted, expected) = match listed {
            Some(listed) => {
                let listed = listed.iter().map(String::as_str);
                (listed.clone().any(is_found), one_of(listed))
            }
            None => (
                found.is_none() || TYPES.into_iter().any(is_found),
                format!("{} or missing", all_quoted(TYPES)),
            ),
        };
        if accepted {
            return Ok(());
        }
        Err(TokenError::Type {
            found: found.map_or_else(|| "missing".to_owned(), quoted),
            expected,
        })
    }
}

/// The types that are accepted if the settings list none.
const TYPES: [&str; 3] = ["JWT", "at+jwt", "JOSE"];

/// Whether the parts of a token may be padded with `=`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Padding {
    /// They may.
    Allowed,
    /// They may not (RFC 7515, section 2).
    Forbidden,
}

impl Padding {
    fn decode(self, part: &str) -> Option<Vec<u8>> {
        match self {
            Self::Allowed => URL_SAFE_ANY_PAD.decode(part).ok(),
            Self::Forbidden => BASE64_URL_SAFE_NO_PAD.decode(part).ok(),
        }
    }
}

const URL_SAFE_ANY_PAD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// RFC 7519, section 7.2: the claims are UTF-8. This holds even for claims that are not read, since other parsers
/// refuse them there too.
fn utf8(payload: Vec<u8>) -> Result<Vec<u8>, TokenError> {
    match std::str::from_utf8(&payload) {
        Ok(_) => Ok(payload),
        Err(_) => Err(TokenError::Token("has a payload that is not UTF-8")),
    }
}

fn kind(typ: &str) -> &str {
    match typ.split_at_checked(12) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    }
}

/// The JOSE header. It has no `jwk`, `jku`, `x5u` and `x5c`, since a token must not say which key to trust
/// (CVE-2026-27962).
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow)]
    kid: Option<Text<'a>>,
    #[serde(borrow)]
    typ: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl<'a> Header<'a> {
    fn parse(json: &'a [u8]) -> Result<Self, TokenError> {
        let malformed = TokenError::Token("has a malformed header");
        // serde_json does not check the encoding of values that it skips.
        let Ok(json) = std::str::from_utf8(json) else {
            return Err(malformed);
        };
        let header: Self = serde_json::from_str(json).map_err(|_| malformed)?;
        // RFC 7515, section 4.1.11: extensions that must be understood. None is supported.
        if header.crit {
            return Err(TokenError::Token("has a header that asks for extensions (crit)"));
        }
        // RFC 7797: an unencoded payload. It must be listed in crit, but some libraries apply it without that.
        if header.b64 {
            return Err(TokenError::Token("has a header that asks for another encoding (b64)"));
        }
        Ok(header)
    }
}

/// Returns true for any value, including `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encode(header), encode(payload))
    }

    fn error(token: &str) -> String {
        match Jws::parse(token, Padding::Forbidden) {
            Ok(_) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_token_is_parsed_into_its_parts() {
        let token = token(
            r#" {"alg":"ES256","kid":"a\/b","typ":"application/AT+JWT","x":[{}]}"#,
            r#"{"iss":"i"}"#,
        );
        let jws = Jws::parse(&token, Padding::Forbidden).unwrap();
        assert_eq!(jws.algorithm, Algorithm::Es256);
        assert_eq!(jws.key_id.as_deref(), Some("a/b"));
        assert_eq!(jws.kind.as_deref(), Some("AT+JWT"));
        assert_eq!(jws.message, token.strip_suffix(".c2ln").unwrap().as_bytes());
        assert_eq!(jws.signature, b"sig");
        assert_eq!(jws.unverified_issuer().unwrap().as_deref(), Some("i"));
    }

    #[test]
    fn what_is_not_a_jws_is_left_to_other_authenticators() {
        let five_parts = format!(
            "{}..a.b.c",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#)
        );
        let cases = [
            "",
            ".",
            "..",
            "abc",
            "a.b",
            "ya29.a0.b_c",
            "e30",
            "e30.e30",
            "e30.e30.a.b",
            "W10.e30.a",
            "!.!.!",
        ];
        for token in cases.into_iter().chain([five_parts.as_str()]) {
            assert!(
                matches!(Jws::parse(token, Padding::Forbidden), Err(TokenError::NotJws)),
                "{token}: {}",
                error(token)
            );
        }
    }

    #[test]
    fn invalid_utf8_is_refused_even_in_values_that_are_not_read() {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (header, payload) = (&br#"{"alg":"RS256","x":"."}"#[..], &br#"{"iss":"i","x":"."}"#[..]);
        let corrupted = |json: &[u8]| {
            json.iter()
                .map(|byte| if *byte == b'.' { 0xff } else { *byte })
                .collect::<Vec<_>>()
        };
        let token = |header: &[u8], payload: &[u8]| format!("{}.{}.c2ln", encode(header), encode(payload));
        assert_eq!(error(&token(header, payload)), "none");
        assert!(error(&token(&corrupted(header), payload)).contains("malformed header"));
        assert!(error(&token(header, &corrupted(payload))).contains("not UTF-8"));
    }

    /// Security cases 8 and 9: a token can neither choose any algorithm nor ask for extensions.
    #[test]
    fn a_header_with_a_bad_algorithm_or_an_extension_is_refused() {
        let cases = [
            r#"{}"#,
            r#"{"alg":null}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":"nOnE"}"#,
            r#"{"alg":""}"#,
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","kid":7}"#,
            r#"{"alg":"RS256","kid":{"a":1}}"#,
            r#"{"alg":"RS256","typ":7}"#,
            r#"{"alg":"RS256","crit":["exp"]}"#,
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":"RS256","crit":null}"#,
            r#"{"alg":"RS256","b64":false}"#,
            r#"{"alg":"RS256","b64":true}"#,
            r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"RS256"}x"#,
            r#"{"alg":"RS256""#,
        ];
        for header in cases {
            let error = error(&token(header, "{}"));
            assert!(
                error.contains("header") || error.contains("which is not supported"),
                "{header}: {error}"
            );
        }
        assert_eq!(
            error(&token(
                r#"{"alg":"RS256","jwk":{"kty":"oct"},"jku":"http://x","x5u":1,"x5c":[]}"#,
                "{}"
            )),
            "none"
        );
    }

    #[test]
    fn parts_must_be_strict_base64url() {
        let good = token(r#"{"alg":"RS256"}"#, r#"{"a":1}"#);
        for (part, bad) in [
            ("c2ln", "c2ln="),
            ("c2ln", "c2l"),
            ("c2ln", "c2l+"),
            ("eyJhIjoxfQ", "eyJhIjoxfR"),
        ] {
            assert_ne!(error(&good.replace(part, bad)), "none", "{bad}");
        }
        assert_eq!(error(&good), "none");
    }

    #[test]
    fn an_issuer_is_a_single_string() {
        let unverified = |payload: &str| {
            let token = token(r#"{"alg":"RS256"}"#, payload);
            let jws = Jws::parse(&token, Padding::Forbidden).unwrap();
            jws.unverified_issuer()
                .map(|issuer| issuer.map(|issuer| issuer.to_string()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(unverified(r#"{"iss":"https:\/\/a"}"#), Ok(Some("https://a".to_owned())));
        assert_eq!(unverified(r#"{"a":1}"#), Ok(None));
        for payload in [
            r#"{"iss":["a"]}"#,
            r#"{"iss":1}"#,
            r#"{"iss":"a","iss":"b"}"#,
            "[]",
            "eyJhbGciOi",
            "",
        ] {
            assert!(unverified(payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn a_type_must_be_listed_or_a_default() {
        let check = |typ: Option<&str>, listed: Option<&[String]>| {
            let typ = typ.map(|typ| format!(r#","typ":"{typ}""#)).unwrap_or_default();
            let token = token(&format!(r#"{{"alg":"RS256"{typ}}}"#), "{}");
            Jws::parse(&token, Padding::Forbidden)
                .unwrap()
                .check_type(listed)
                .is_ok()
        };
        for typ in [
            None,
            Some("JWT"),
            Some("jwt"),
            Some("at+jwt"),
            Some("application/at+jwt"),
            Some("JOSE"),
        ] {
            assert!(check(typ, None), "{typ:?}");
        }
        for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "", "application/", "JWT "] {
            assert!(!check(Some(typ), None), "{typ}");
        }
        let listed = ["application/at+jwt".to_owned(), "id+jwt".to_owned()];
        assert!(check(Some("AT+JWT"), Some(&listed)) && check(Some("id+jwt"), Some(&listed)));
        assert!(!check(Some("JWT"), Some(&listed)) && !check(None, Some(&listed)));
    }
}
