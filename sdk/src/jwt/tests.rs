//! Signatures of every key type, verified through the fake gateway. The tokens are signed here.

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

fn every_key_type() -> Vec<(Algorithm, String, Value)> {
    let pairs = [
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
    pairs
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
fn tokens_of_every_key_type_are_verified() {
    for (algorithm, token, jwk) in every_key_type() {
        assert_eq!(
            decoded(&token, &jwk, algorithm).unwrap()["sub"],
            "alice",
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_changed_token_or_another_key_is_refused() {
    for ((algorithm, token, jwk), (_, _, other)) in every_key_type().into_iter().zip(every_key_type()) {
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
fn no_algorithm_accepts_a_key_of_another_type() {
    let all = every_key_type();
    for (algorithm, token, _) in &all {
        for (_, _, jwk) in all.iter().filter(|(other, ..)| other.family() != algorithm.family()) {
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
