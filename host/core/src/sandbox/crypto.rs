//! Verifies JOSE signatures natively, with AWS-LC. The algorithm must match the type of the key, so that a token can't
//! make the host use a public key as a shared secret (CVE-2016-5431).

use aws_lc_rs::hmac;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaVerificationAlgorithm;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::HostState;
use crate::contract::portcullis::auth::crypto;
use crate::contract::portcullis::auth::crypto::Algorithm;

impl crypto::Host for HostState {
    fn verify(
        &mut self,
        algorithm: Algorithm,
        key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        Ok(verify(algorithm, &key, &message, &signature).map_err(str::to_owned))
    }
}

/// A public key or a shared secret as a JSON Web Key (RFC 7517; RFC 7518, section 6). Private parts are not read.
#[derive(Deserialize)]
#[serde(tag = "kty")]
enum Jwk<'a> {
    #[serde(rename = "EC")]
    Ec { crv: &'a str, x: &'a str, y: &'a str },
    #[serde(rename = "oct")]
    Oct { k: &'a str },
    #[serde(rename = "OKP")]
    Okp { crv: &'a str, x: &'a str },
    #[serde(rename = "RSA")]
    Rsa { n: &'a str, e: &'a str },
}

fn verify(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, &'static str> {
    let jwk: Jwk<'_> = serde_json::from_slice(key).map_err(|_| "the key is not a JWK of type RSA, EC, OKP or oct")?;
    match (algorithm, jwk) {
        (Algorithm::Rs256, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA256, n, e, message, signature),
        (Algorithm::Rs384, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA384, n, e, message, signature),
        (Algorithm::Rs512, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA512, n, e, message, signature),
        (Algorithm::Ps256, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA256, n, e, message, signature),
        (Algorithm::Ps384, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA384, n, e, message, signature),
        (Algorithm::Ps512, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA512, n, e, message, signature),
        (Algorithm::Es256, Jwk::Ec { crv: "P-256", x, y }) => {
            ecdsa(&signature::ECDSA_P256_SHA256_FIXED, 32, x, y, message, signature)
        }
        (Algorithm::Es384, Jwk::Ec { crv: "P-384", x, y }) => {
            ecdsa(&signature::ECDSA_P384_SHA384_FIXED, 48, x, y, message, signature)
        }
        (Algorithm::Es512, Jwk::Ec { crv: "P-521", x, y }) => {
            ecdsa(&signature::ECDSA_P521_SHA512_FIXED, 66, x, y, message, signature)
        }
        (Algorithm::Ed25519, Jwk::Okp { crv: "Ed25519", x }) => {
            let key = UnparsedPublicKey::new(&signature::ED25519, decode(x)?);
            Ok(key.verify(message, signature).is_ok())
        }
        (Algorithm::Hs256, Jwk::Oct { k }) => mac(hmac::HMAC_SHA256, k, message, signature),
        (Algorithm::Hs384, Jwk::Oct { k }) => mac(hmac::HMAC_SHA384, k, message, signature),
        (Algorithm::Hs512, Jwk::Oct { k }) => mac(hmac::HMAC_SHA512, k, message, signature),
        _ => Err("the key's type or curve is not the algorithm's"),
    }
}

fn rsa(
    parameters: &'static RsaParameters,
    n: &str,
    e: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, &'static str> {
    let key = RsaPublicKeyComponents {
        n: decode(n)?,
        e: decode(e)?,
    };
    // RFC 7518, section 6.3.1.1, forbids leading zeros of the modulus, but some providers send one.
    let zeros = key.n.iter().take_while(|byte| **byte == 0).count();
    let bits = key.n.get(zeros..).map_or(0, |n| n.len() * 8);
    if !(2048..=8192).contains(&bits) {
        return Err("the RSA key has fewer than 2048 or more than 8192 bits");
    }
    let key = RsaPublicKeyComponents {
        n: key.n.get(zeros..).unwrap_or_default(),
        e: key.e.as_slice(),
    };
    Ok(key.verify(parameters, message, signature).is_ok())
}

fn ecdsa(
    algorithm: &'static EcdsaVerificationAlgorithm,
    coordinate: usize,
    x: &str,
    y: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, &'static str> {
    let (x, y) = (decode(x)?, decode(y)?);
    if x.len() != coordinate || y.len() != coordinate {
        return Err("a coordinate of the EC key has the wrong length");
    }
    let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
    Ok(UnparsedPublicKey::new(algorithm, point)
        .verify(message, signature)
        .is_ok())
}

fn mac(algorithm: hmac::Algorithm, k: &str, message: &[u8], tag: &[u8]) -> Result<bool, &'static str> {
    let secret = decode(k)?;
    // The key must be at least as long as the digest (RFC 7518, section 3.2).
    if secret.len() < algorithm.digest_algorithm().output_len() {
        return Err("the secret is shorter than the algorithm's digest");
    }
    Ok(hmac::verify(&hmac::Key::new(algorithm, &secret), message, tag).is_ok())
}

fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a member of the key is not base64url")
}
