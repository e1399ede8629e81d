//! Verifies signatures as the gateway does. The library is the same, and so are the rules on which key an algorithm
//! accepts.

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaVerificationAlgorithm;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::crypto::Algorithm;

pub(super) fn verify(algorithm: Algorithm, key: &str, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    let key: Jwk = serde_json::from_str(key).map_err(|_| "the key is not a JWK of a known type".to_owned())?;
    match (method(algorithm), key) {
        (Method::Rsa(parameters), Jwk::Rsa { n, e }) => rsa(parameters, &bytes(&n)?, &bytes(&e)?, message, signature),
        (Method::Ecdsa(algorithm, curve), Jwk::Ec { crv, x, y }) if crv == curve => {
            let point = [vec![4], bytes(&x)?, bytes(&y)?].concat();
            Ok(public(algorithm, &point, message, signature))
        }
        (Method::Ed25519, Jwk::Okp { crv, x }) if crv == "Ed25519" => {
            Ok(public(&signature::ED25519, &bytes(&x)?, message, signature))
        }
        (Method::Hmac(algorithm), Jwk::Oct { k }) => mac(algorithm, &bytes(&k)?, message, signature),
        _ => Err("the key is not of the algorithm's type".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(tag = "kty")]
enum Jwk {
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "oct")]
    Oct { k: String },
    #[serde(rename = "OKP")]
    Okp { crv: String, x: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

enum Method {
    Ecdsa(&'static EcdsaVerificationAlgorithm, &'static str),
    Ed25519,
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters),
}

const fn method(algorithm: Algorithm) -> Method {
    match algorithm {
        Algorithm::Ed25519 => Method::Ed25519,
        Algorithm::Es256 => Method::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED, "P-256"),
        Algorithm::Es384 => Method::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED, "P-384"),
        Algorithm::Es512 => Method::Ecdsa(&signature::ECDSA_P521_SHA512_FIXED, "P-521"),
        Algorithm::Hs256 => Method::Hmac(hmac::HMAC_SHA256),
        Algorithm::Hs384 => Method::Hmac(hmac::HMAC_SHA384),
        Algorithm::Hs512 => Method::Hmac(hmac::HMAC_SHA512),
        Algorithm::Ps256 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Rs256 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
    }
}

fn rsa(
    parameters: &'static RsaParameters,
    n: &[u8],
    e: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<bool, String> {
    let bits = n.iter().skip_while(|byte| **byte == 0).count() * 8;
    if !(2048..=8192).contains(&bits) {
        return Err("an RSA key must have 2048 to 8192 bits".to_owned());
    }
    Ok(PublicKeyComponents { n, e }
        .verify(parameters, message, signature)
        .is_ok())
}

fn public(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key)
        .verify(message, signature)
        .is_ok()
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, String> {
    if key.len() < algorithm.digest_algorithm().output_len() {
        return Err("an HMAC key must be at least as long as the digest".to_owned());
    }
    Ok(hmac::verify(&hmac::Key::new(algorithm, key), message, signature).is_ok())
}

fn bytes(base64url: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(base64url)
        .map_err(|_| "the key is not base64url".to_owned())
}
