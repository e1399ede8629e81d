//! Lets the `jsonwebtoken` crate verify signatures through the gateway. It does all the rest itself: it reads the
//! token, binds the algorithm to the key and validates the claims; [`crypto::verify`] answers for the signature alone.
//!
//! Call [`install`], then use `jsonwebtoken` as ever:
//! `decode(token, &DecodingKey::from_jwk(&jwk)?, &validation)`. Keys come as JWKs, as RSA modulus and exponent, as points
//! of P-256 and P-384, as Ed25519 keys or as HMAC secrets; a key in DER or PEM is not supported, because the gateway
//! takes JWKs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::AlgorithmFamily;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::DecodingKeyKind;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::crypto::JwtSigner;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::crypto::KeyUtils;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::errors::Result;
use jsonwebtoken::signature;
use jsonwebtoken::signature::Verifier;
use serde_json::json;

use crate::crypto;
use crate::log;

pub use jsonwebtoken;

/// Makes the gateway verify what `jsonwebtoken` decodes, in this process from now on. Signing is not possible. It may be
/// called any number of times.
pub fn install() {
    // An error says that a provider is already there: it is ours, as the crate is built without another.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: refuse_to_sign,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

fn refuse_to_sign(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(GatewayVerifier {
        algorithm: *algorithm,
        method: method(*algorithm)?,
        jwk: jwk(key)?,
    }))
}

struct GatewayVerifier {
    algorithm: Algorithm,
    method: crypto::Algorithm,
    jwk: String,
}

impl JwtVerifier for GatewayVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for GatewayVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        match crypto::verify(self.method, &self.jwk, message, signature) {
            Ok(true) => Ok(()),
            Ok(false) => Err(signature::Error::new()),
            Err(reason) => {
                // `jsonwebtoken` drops the reason, and a key that can't be used is worth knowing of.
                log::warn(format!("the key can't verify {:?}: {reason}", self.algorithm));
                Err(signature::Error::from_source(reason))
            }
        }
    }
}

fn method(algorithm: Algorithm) -> Result<crypto::Algorithm> {
    Ok(match algorithm {
        Algorithm::EdDSA => crypto::Algorithm::Ed25519,
        Algorithm::ES256 => crypto::Algorithm::Es256,
        Algorithm::ES384 => crypto::Algorithm::Es384,
        Algorithm::HS256 => crypto::Algorithm::Hs256,
        Algorithm::HS384 => crypto::Algorithm::Hs384,
        Algorithm::HS512 => crypto::Algorithm::Hs512,
        Algorithm::PS256 => crypto::Algorithm::Ps256,
        Algorithm::PS384 => crypto::Algorithm::Ps384,
        Algorithm::PS512 => crypto::Algorithm::Ps512,
        Algorithm::RS256 => crypto::Algorithm::Rs256,
        Algorithm::RS384 => crypto::Algorithm::Rs384,
        Algorithm::RS512 => crypto::Algorithm::Rs512,
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    })
}

/// The key as a JWK again (RFC 7518, section 6; RFC 8037, section 2).
fn jwk(key: &DecodingKey) -> Result<String> {
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = match (key.family(), key.kind()) {
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            json!({ "kty": "RSA", "n": b64(n), "e": b64(e) })
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
            let (crv, x, y) = coordinates(point).ok_or(ErrorKind::InvalidEcdsaKey)?;
            json!({ "kty": "EC", "crv": crv, "x": b64(x), "y": b64(y) })
        }
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(x)) if x.len() == 32 => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(x) })
        }
        (AlgorithmFamily::Hmac, DecodingKeyKind::SecretOrDer(k)) => json!({ "kty": "oct", "k": b64(k) }),
        _ => return Err(ErrorKind::InvalidKeyFormat.into()),
    };
    Ok(jwk.to_string())
}

/// Curve and coordinates of an uncompressed point (SEC 1, section 2.3.3). Its length says which curve it is on.
fn coordinates(point: &[u8]) -> Option<(&'static str, &[u8], &[u8])> {
    let (curve, size) = match point.len() {
        65 => ("P-256", 32),
        97 => ("P-384", 48),
        _ => return None,
    };
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(size)?;
    Some((curve, x, y))
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use aws_lc_rs::hmac;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
    use aws_lc_rs::signature::EcdsaKeyPair;
    use aws_lc_rs::signature::EcdsaSigningAlgorithm;
    use aws_lc_rs::signature::Ed25519KeyPair;
    use aws_lc_rs::signature::KeyPair;
    use aws_lc_rs::signature::RSA_PKCS1_SHA256;
    use aws_lc_rs::signature::RSA_PSS_SHA384;
    use aws_lc_rs::signature::RsaEncoding;
    use aws_lc_rs::signature::RsaKeyPair;
    use jsonwebtoken::Validation;
    use jsonwebtoken::decode;
    use jsonwebtoken::jwk::Jwk;
    use serde_json::Value;

    use super::*;
    use crate::testing::FakeHost;

    fn b64(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn token(alg: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let header = b64(json!({ "alg": alg }).to_string());
        let message = format!(
            "{header}.{}",
            b64(json!({ "sub": "alice", "exp": 4_102_444_800_u64 }).to_string())
        );
        let signature = b64(sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn rsa(alg: &str, encoding: &'static dyn RsaEncoding) -> (String, Value) {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let signed = token(alg, |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                .unwrap();
            signature
        });
        // RSAPublicKey (RFC 8017, appendix A.1.1) of a key of this size: the modulus starts at byte 9.
        (
            signed,
            json!({ "kty": "RSA", "n": b64(&pair.public_key().as_ref()[9..265]), "e": "AQAB" }),
        )
    }

    fn ecdsa(alg: &str, algorithm: &'static EcdsaSigningAlgorithm, crv: &str) -> (String, Value) {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let signed = token(alg, |message| {
            pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
        });
        let (x, y) = pair.public_key().as_ref()[1..].split_at(if crv == "P-256" { 32 } else { 48 });
        (signed, json!({ "kty": "EC", "crv": crv, "x": b64(x), "y": b64(y) }))
    }

    fn ed25519() -> (String, Value) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let signed = token("EdDSA", |message| pair.sign(message).as_ref().to_vec());
        (
            signed,
            json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key()) }),
        )
    }

    fn hmac(secret: &[u8]) -> (String, Value) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signed = token("HS256", |message| hmac::sign(&key, message).as_ref().to_vec());
        (signed, json!({ "kty": "oct", "k": b64(secret) }))
    }

    fn every_kind() -> Vec<(Algorithm, String, Value)> {
        let kinds = [
            (Algorithm::RS256, rsa("RS256", &RSA_PKCS1_SHA256)),
            (Algorithm::PS384, rsa("PS384", &RSA_PSS_SHA384)),
            (
                Algorithm::ES256,
                ecdsa("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            ),
            (
                Algorithm::ES384,
                ecdsa("ES384", &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            ),
            (Algorithm::EdDSA, ed25519()),
            (Algorithm::HS256, hmac(&[7; 32])),
        ];
        kinds
            .into_iter()
            .map(|(algorithm, (token, jwk))| (algorithm, token, jwk))
            .collect()
    }

    fn decoded(token: &str, jwk: &Value, algorithm: Algorithm) -> Result<Value> {
        install();
        let jwk: Jwk = serde_json::from_value(jwk.clone())?;
        decode::<Value>(token, &DecodingKey::from_jwk(&jwk)?, &Validation::new(algorithm)).map(|data| data.claims)
    }

    #[test]
    fn tokens_of_every_kind_of_key_are_verified() {
        for (algorithm, token, jwk) in every_kind() {
            assert_eq!(
                decoded(&token, &jwk, algorithm).unwrap()["sub"],
                "alice",
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn a_changed_token_and_a_foreign_key_are_refused() {
        for ((algorithm, token, jwk), (_, _, other)) in every_kind().into_iter().zip(every_kind()) {
            let (message, signature) = token.rsplit_once('.').unwrap();
            for changed in [
                format!("{message}.{}", b64([0; 64])),
                format!("{message}."),
                format!("{message}A.{signature}"),
            ] {
                assert!(decoded(&changed, &jwk, algorithm).is_err(), "{algorithm:?}");
            }
            if algorithm != Algorithm::HS256 {
                assert_eq!(
                    decoded(&token, &other, algorithm).unwrap_err().kind(),
                    &ErrorKind::InvalidSignature
                );
            }
        }
    }

    #[test]
    fn no_algorithm_takes_a_key_of_another_type() {
        let every = every_kind();
        for (algorithm, token, _) in &every {
            for (_, _, jwk) in every.iter().filter(|(other, ..)| other.family() != algorithm.family()) {
                assert!(
                    decoded(token, jwk, *algorithm).is_err(),
                    "{algorithm:?} with {}",
                    jwk["kty"]
                );
            }
        }
    }

    #[test]
    fn a_key_that_the_gateway_refuses_is_reported() {
        let host = FakeHost::start();
        let (token, jwk) = hmac(b"too short");
        assert_eq!(
            decoded(&token, &jwk, Algorithm::HS256).unwrap_err().kind(),
            &ErrorKind::InvalidSignature
        );
        assert!(
            host.log()[0].1.contains("at least as long as the digest"),
            "{:?}",
            host.log()
        );
    }
}
