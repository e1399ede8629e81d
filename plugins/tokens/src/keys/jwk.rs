//! A single public key. Its JWK (RFC 7517) decides which algorithms it may verify.
//!
//! A key is bound to algorithms by its type first, and then by `alg`, `use` and `key_ops`. Thus no token can turn a
//! public key into a shared secret (CVE-2026-39999, CVE-2026-22817).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_sdk::crypto::Algorithm;
use serde::Deserialize;
use serde::Serialize;

use super::pem;
use crate::algorithm::AlgorithmSet;
use crate::text::Text;
use crate::text::quoted;

/// The longest key id, in bytes. It is kept in the gateway's cache and compared with the id that a token names.
const MAX_ID: usize = 256;

const LONG_ID: &str = "has an id that is too long (kid)";

/// The relevant members of a JWK. Private parts are not among them, so they are never stored or passed on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Jwk<'a> {
    #[serde(borrow)]
    pub(crate) kty: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) alg: Option<Text<'a>>,
    #[serde(borrow, default, rename = "use", skip_serializing)]
    pub(crate) purpose: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing)]
    pub(crate) key_ops: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) crv: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) e: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) x: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) y: Option<Text<'a>>,
    /// Certificates, of which the first has the key.
    #[serde(borrow, default, skip_serializing)]
    pub(crate) x5c: Option<Vec<Text<'a>>>,
}

/// A public key that can verify signatures.
#[derive(Clone, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) algorithms: AlgorithmSet,
    pub(crate) jwk: Jwk<'a>,
}

impl<'a> Key<'a> {
    /// Parses a JWK. The error names the key, and says why it can't verify signatures here.
    pub(crate) fn parse(json: &'a str) -> Result<Self, String> {
        let jwk: Jwk<'a> = serde_json::from_str(json).map_err(|_| "a key is no JWK".to_owned())?;
        let label = jwk.label();
        Self::try_from(jwk).map_err(|problem| format!("{label} {problem}"))
    }

    /// The same key with this id. The error is that of a key whose id is too long.
    pub(crate) fn with_id(mut self, id: String) -> Result<Self, String> {
        if id.len() > MAX_ID {
            return Err(format!("key {} {LONG_ID}", quoted(&id)));
        }
        self.jwk.kid = Some(Text::new(id));
        Ok(self)
    }
}

impl<'a> TryFrom<Jwk<'a>> for Key<'a> {
    /// The reason why the key can't verify signatures here.
    type Error = &'static str;

    fn try_from(jwk: Jwk<'a>) -> Result<Self, Self::Error> {
        let jwk = jwk.completed()?.repaired();
        if jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err("is not for signatures (use)");
        }
        if jwk
            .key_ops
            .as_ref()
            .is_some_and(|operations| !operations.iter().any(|operation| **operation == *"verify"))
        {
            return Err("is not for verifying (key_ops)");
        }
        if jwk.kid.as_deref().is_some_and(|id| id.len() > MAX_ID) {
            return Err(LONG_ID);
        }
        let by_type = jwk.algorithms_by_type()?;
        let algorithms = match jwk.alg.as_deref() {
            None => by_type,
            Some(name) => {
                let named = Algorithm::from_jose(name).ok_or("has an algorithm that is not supported (alg)")?;
                by_type.intersection(AlgorithmSet::of(&[named]))
            }
        };
        if algorithms.is_empty() {
            return Err("has an algorithm that is not for its type (alg)");
        }
        Ok(Self { algorithms, jwk })
    }
}

impl Jwk<'_> {
    /// How a log line names the key.
    pub(crate) fn label(&self) -> String {
        match self.kid.as_deref() {
            Some(id) => format!("key {}", quoted(id)),
            None => "a key".to_owned(),
        }
    }

    /// The algorithms that the type and the curve of the key allow (RFC 7518, section 3.1; RFC 8037, section 3.1), if
    /// its numbers have the right lengths.
    fn algorithms_by_type(&self) -> Result<AlgorithmSet, &'static str> {
        let crv = self.crv.as_deref();
        let (algorithms, complete) = match (&*self.kty, crv) {
            ("RSA", _) => (
                AlgorithmSet::RSA,
                is_modulus(self.n.as_ref()) && is_exponent(self.e.as_ref()),
            ),
            ("EC", Some("P-256")) => (
                AlgorithmSet::of(&[Algorithm::Es256]),
                has_bytes(self.x.as_ref(), 32) && has_bytes(self.y.as_ref(), 32),
            ),
            ("EC", Some("P-384")) => (
                AlgorithmSet::of(&[Algorithm::Es384]),
                has_bytes(self.x.as_ref(), 48) && has_bytes(self.y.as_ref(), 48),
            ),
            ("EC", Some("P-521")) => (
                AlgorithmSet::of(&[Algorithm::Es512]),
                has_bytes(self.x.as_ref(), 66) && has_bytes(self.y.as_ref(), 66),
            ),
            ("OKP", Some("Ed25519")) => (AlgorithmSet::of(&[Algorithm::Ed25519]), has_bytes(self.x.as_ref(), 32)),
            // A published secret is not secret, and an HMAC key from here would let a token choose HMAC.
            ("oct", _) => return Err("is a shared secret (kty oct); for HMAC, use the setting secret"),
            _ => return Err("is of a type or curve that is not supported (kty, crv)"),
        };
        if complete {
            Ok(algorithms)
        } else {
            Err("lacks a number that its type needs, or has one of the wrong length")
        }
    }

    /// Takes the key from the first certificate (RFC 7517, section 4.7) if it isn't given itself. The rest of the
    /// certificate is ignored, because the issuer who publishes the set vouches for the key.
    fn completed(self) -> Result<Self, &'static str> {
        let certificate = match self.x5c.as_deref() {
            Some([first, ..]) if self.n.is_none() && self.x.is_none() => first,
            _ => return Ok(self),
        };
        let problem = "has no key but a certificate that can't be read (x5c)";
        let der = BASE64_STANDARD.decode(certificate.as_bytes()).map_err(|_| problem)?;
        let key = pem::key_of_certificate(&der).ok_or(problem)?;
        if key.kty != self.kty {
            return Err("has a certificate of another type (kty, x5c)");
        }
        Ok(Self {
            crv: key.crv,
            n: key.n,
            e: key.e,
            x: key.x,
            y: key.y,
            ..self
        })
    }

    /// Some providers pad numbers with `=`, or leave out the zeros in front of a coordinate, or add one (RFC 7518,
    /// section 6.2.1.2, wants its full size). The number is the same.
    fn repaired(self) -> Self {
        let bare = |number: Option<Text<'_>>| match number {
            Some(number) if number.ends_with('=') => Some(Text::new(number.trim_end_matches('=').to_owned())),
            number => number.map(Text::into_owned),
        };
        let has_padding = |number: &Option<Text<'_>>| number.as_deref().is_some_and(|number| number.ends_with('='));
        let mut jwk = self;
        if [&jwk.n, &jwk.e, &jwk.x, &jwk.y].into_iter().any(has_padding) {
            (jwk.n, jwk.e) = (bare(jwk.n), bare(jwk.e));
            (jwk.x, jwk.y) = (bare(jwk.x), bare(jwk.y));
        }
        let size = match jwk.crv.as_deref() {
            Some("P-256") => 32,
            Some("P-384") => 48,
            Some("P-521") => 66,
            _ => return jwk,
        };
        for coordinate in [&mut jwk.x, &mut jwk.y] {
            if let Some(sized) = coordinate.as_ref().and_then(|number| with_size(number, size)) {
                *coordinate = Some(Text::new(sized));
            }
        }
        jwk
    }

    pub(crate) fn into_owned(self) -> Jwk<'static> {
        let owned = |text: Option<Text<'_>>| text.map(Text::into_owned);
        Jwk {
            kty: self.kty.into_owned(),
            kid: owned(self.kid),
            alg: owned(self.alg),
            purpose: owned(self.purpose),
            key_ops: self
                .key_ops
                .map(|operations| operations.into_iter().map(Text::into_owned).collect()),
            crv: owned(self.crv),
            n: owned(self.n),
            e: owned(self.e),
            x: owned(self.x),
            y: owned(self.y),
            x5c: None,
        }
    }
}

/// The same number with `size` bytes. `None` if it has them, or can't have them.
fn with_size(number: &str, size: usize) -> Option<String> {
    if number.len() == encoded_len(size) {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(number).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).filter(|digits| !digits.is_empty())?;
    let missing = size.checked_sub(digits.len())?;
    Some(BASE64_URL_SAFE_NO_PAD.encode([&vec![0; missing], digits].concat()))
}

/// Returns whether this is base64url of `bytes` bytes, judged by its length. The gateway decodes the number.
fn has_bytes(number: Option<&Text<'_>>, bytes: usize) -> bool {
    number.is_some_and(|number| number.len() == encoded_len(bytes))
}

/// Returns whether this is a modulus of 2048 to 8192 bits, the sizes that the gateway accepts.
fn is_modulus(number: Option<&Text<'_>>) -> bool {
    // Some providers add a zero byte in front.
    number.is_some_and(|number| (encoded_len(256)..=encoded_len(1025)).contains(&number.len()))
}

/// Returns whether this is an exponent of up to 64 bits; the usual one is 65537.
fn is_exponent(number: Option<&Text<'_>>) -> bool {
    number.is_some_and(|number| (1..=encoded_len(8)).contains(&number.len()))
}

/// The length of `bytes` bytes in base64url without padding.
const fn encoded_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    fn key(jwk: &Value) -> Result<AlgorithmSet, String> {
        let jwk = jwk.to_string();
        let jwk: Jwk<'_> = serde_json::from_str(&jwk).map_err(|error| error.to_string())?;
        Key::try_from(jwk).map(|key| key.algorithms).map_err(str::to_owned)
    }

    fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
        jwk[name] = value.into();
        jwk
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "n": "x".repeat(342), "e": "AQAB"})
    }

    fn p256() -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": "x".repeat(43), "y": "y".repeat(43)})
    }

    /// Security cases 7 and 8.
    #[test]
    fn the_type_of_a_key_decides_what_it_verifies() {
        let p384 = json!({"kty": "EC", "crv": "P-384", "x": "x".repeat(64), "y": "y".repeat(64)});
        let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": "x".repeat(43)});
        let cases = [
            (rsa(), AlgorithmSet::RSA),
            (p256(), AlgorithmSet::of(&[Algorithm::Es256])),
            (p384, AlgorithmSet::of(&[Algorithm::Es384])),
            (ed25519.clone(), AlgorithmSet::of(&[Algorithm::Ed25519])),
            (with(ed25519, "alg", "Ed25519"), AlgorithmSet::of(&[Algorithm::Ed25519])),
            (with(rsa(), "alg", "PS256"), AlgorithmSet::of(&[Algorithm::Ps256])),
            (
                with(with(rsa(), "use", "sig"), "key_ops", json!(["sign", "verify"])),
                AlgorithmSet::RSA,
            ),
            (with(rsa(), "alg", Value::Null), AlgorithmSet::RSA),
        ];
        for (jwk, algorithms) in cases {
            assert_eq!(key(&jwk), Ok(algorithms), "{jwk}");
        }
    }

    #[test]
    fn a_key_that_is_not_for_verifying_signatures_is_an_error() {
        let cases = [
            with(rsa(), "alg", "HS256"),
            with(rsa(), "alg", "ES256"),
            with(rsa(), "alg", "none"),
            with(rsa(), "alg", "RSA-OAEP"),
            with(rsa(), "alg", 1),
            with(p256(), "alg", "ES384"),
            with(rsa(), "use", "enc"),
            with(rsa(), "use", ""),
            with(rsa(), "key_ops", json!(["encrypt"])),
            with(rsa(), "key_ops", json!([])),
            with(rsa(), "n", "x".repeat(341)),
            with(rsa(), "n", "x".repeat(1368)),
            with(rsa(), "n", ""),
            with(rsa(), "e", Value::Null),
            with(rsa(), "e", "x".repeat(12)),
            with(rsa(), "kid", "x".repeat(257)),
            with(p256(), "x", "x".repeat(44)),
            with(p256(), "x", "AAAA"),
            json!({"kty": "RSA", "x5c": ["AAAA"]}),
            json!({"kty": "RSA", "x5c": ["*"]}),
            json!({"kty": "RSA", "x5c": []}),
            with(p256(), "crv", "P-384"),
            with(p256(), "crv", "P-521X"),
            with(p256(), "crv", "secp256k1"),
            with(p256(), "kty", "OKP"),
            json!({"kty": "oct", "k": "x".repeat(43), "alg": "HS256"}),
            json!({"kty": "AKP"}),
            json!({}),
            json!([]),
        ];
        for jwk in cases {
            assert!(key(&jwk).is_err(), "{jwk}");
        }
    }

    /// Row B8 of the field reports.
    #[test]
    fn numbers_that_are_written_in_another_way_are_the_same() {
        let b64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let short = [7; 31];
        let full = b64(&[&[0], &short[..]].concat());
        for (x, expected) in [
            (full.clone(), full.as_str()),
            (b64(&short), &full),
            (format!("{}=", b64(&short)), &full),
            (b64(&[&[0, 0], &short[..]].concat()), &full),
            (format!("{full}="), &full),
        ] {
            let jwk = with(p256(), "x", x.clone()).to_string();
            let key = Key::parse(&jwk).unwrap();
            assert_eq!(key.jwk.x.as_deref(), Some(expected), "{x}");
        }
        let padded = with(rsa(), "n", format!("{}==", "x".repeat(342))).to_string();
        assert_eq!(Key::parse(&padded).unwrap().jwk.n.unwrap().len(), 342);
    }

    #[test]
    fn private_parts_and_certificates_are_dropped() {
        let jwk = with(with(with(rsa(), "d", "private"), "x5c", json!(["cert"])), "use", "sig").to_string();
        let jwk: Jwk<'_> = serde_json::from_str(&jwk).unwrap();
        let names = serde_json::to_value(jwk.into_owned()).unwrap();
        let names: Vec<_> = names.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["e", "kty", "n"]);
    }
}
