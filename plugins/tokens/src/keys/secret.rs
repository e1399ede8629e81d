//! A secret that is shared with the issuer, which is the only kind of key for HMAC. Only the setting `secret` makes
//! one.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_sdk::Secret;
use portcullis_sdk::crypto::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pem;
use crate::algorithm::AlgorithmSet;

/// How a secret is encoded.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretEncoding {
    /// In base64 or base64url, with or without padding.
    Base64,
    /// As plain text.
    #[default]
    Text,
}

/// A secret for HMAC.
#[derive(Clone)]
pub struct SharedSecret {
    jwk: String,
    algorithms: AlgorithmSet,
}

impl SharedSecret {
    /// Makes a secret of a setting.
    pub fn new(secret: &Secret, encoding: SecretEncoding) -> Result<Self, &'static str> {
        let text = secret.expose();
        // A public key used as a secret would be known to everyone (CVE-2026-34950).
        if text.contains(pem::BEGIN) || text.trim_ascii_start().starts_with('{') {
            return Err("secret: it is a key in PEM or JWK form, not a secret; use pem or jwks");
        }
        let bytes = match encoding {
            SecretEncoding::Base64 => base64(text).ok_or("secret: it is not base64")?,
            SecretEncoding::Text => text.as_bytes().to_owned(),
        };
        let algorithms = algorithms(bytes.len());
        if algorithms.is_empty() {
            return Err("secret: it needs at least 32 bytes (RFC 7518, section 3.2)");
        }
        let jwk = format!(r#"{{"kty":"oct","k":"{}"}}"#, BASE64_URL_SAFE_NO_PAD.encode(&bytes));
        Ok(Self { jwk, algorithms })
    }

    /// The algorithms for which the secret is long enough.
    pub const fn algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// The secret as a JWK, as the gateway takes it.
    pub fn jwk(&self) -> &str {
        &self.jwk
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret")
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// RFC 7518, section 3.2: a key must be at least as long as the digest.
const fn algorithms(bytes: usize) -> AlgorithmSet {
    match bytes {
        0..32 => AlgorithmSet::of(&[]),
        32..48 => AlgorithmSet::of(&[Algorithm::Hs256]),
        48..64 => AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Hs384]),
        _ => AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512]),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let decode = |alphabet| GeneralPurpose::new(alphabet, ANY_PADDING).decode(text).ok();
    decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE))
}

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn secret(text: &str, encoding: SecretEncoding) -> Result<SharedSecret, &'static str> {
        SharedSecret::new(&serde_json::from_value(text.into()).unwrap(), encoding)
    }

    /// Security case 8.
    #[test]
    fn a_secret_is_long_enough_for_its_algorithms() {
        use Algorithm::*;
        let cases = [
            (32, vec![Hs256]),
            (47, vec![Hs256]),
            (48, vec![Hs256, Hs384]),
            (63, vec![Hs256, Hs384]),
            (64, vec![Hs256, Hs384, Hs512]),
            (500, vec![Hs256, Hs384, Hs512]),
        ];
        for (length, algorithms) in cases {
            let secret = secret(&"x".repeat(length), SecretEncoding::Text).unwrap();
            assert_eq!(secret.algorithms(), AlgorithmSet::of(&algorithms), "{length}");
        }
        for text in ["x", &"x".repeat(31)] {
            assert!(
                secret(text, SecretEncoding::Text).unwrap_err().contains("32 bytes"),
                "{}",
                text.len()
            );
        }
    }

    #[test]
    fn a_secret_may_be_in_either_base64_with_or_without_padding() {
        let bytes: Vec<u8> = (0..32).map(|n| 251_u8.wrapping_add(n)).collect();
        let plain = BASE64_STANDARD.encode(&bytes);
        let url = plain.replace('+', "-").replace('/', "_");
        for text in [
            plain.as_str(),
            &url,
            plain.trim_end_matches('='),
            url.trim_end_matches('='),
        ] {
            let jwk = secret(text, SecretEncoding::Base64).unwrap().jwk;
            assert_eq!(
                jwk,
                format!(r#"{{"kty":"oct","k":"{}"}}"#, url.trim_end_matches('=')),
                "{text}"
            );
        }
        assert!(secret("not base64 at all, but rather long", SecretEncoding::Base64).is_err());
        assert!(
            secret(&plain[..40], SecretEncoding::Base64)
                .unwrap_err()
                .contains("32 bytes")
        );
    }

    /// Security cases 7 and 8.
    #[test]
    fn a_public_key_is_not_accepted_as_a_secret() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
        let indented = format!("\n \t{pem}");
        for text in [pem, &indented, r#" {"keys":[],"padding":"xxxxxxxxxxxxxxxxxxxxxxxx"}"#] {
            assert!(
                secret(text, SecretEncoding::Text).unwrap_err().contains("not a secret"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = secret(&"hunter2!".repeat(8), SecretEncoding::Text).unwrap();
        let shown = format!("{secret:?}");
        assert!(
            !shown.contains("hunter") && !shown.contains(&BASE64_URL_SAFE_NO_PAD.encode("hunter")),
            "{shown}"
        );
    }
}
