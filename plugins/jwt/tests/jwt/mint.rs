//! An issuer of tokens for tests. It has keys of every type, publishes them as JWKs, and signs any token that a test
//! makes.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

/// A signing key.
pub(crate) enum Signer {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Secret(Vec<u8>),
}

pub(crate) static ED25519: LazyLock<Signer> = LazyLock::new(|| Signer::Ed25519(Ed25519KeyPair::generate().unwrap()));
pub(crate) static P256: LazyLock<Signer> = LazyLock::new(p256);
pub(crate) static P384: LazyLock<Signer> =
    LazyLock::new(|| Signer::P384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()));
pub(crate) static P521: LazyLock<Signer> =
    LazyLock::new(|| Signer::P521(EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap()));
pub(crate) static RSA: LazyLock<Signer> =
    LazyLock::new(|| Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

/// Generates a new key each time.
pub(crate) fn p256() -> Signer {
    Signer::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

/// A token as load balancers of AWS make it, with padding.
pub(crate) fn padded(signer: &Signer, header: &Value, claims: &Value) -> String {
    let part = |bytes: &[u8]| BASE64_URL_SAFE.encode(bytes);
    let message = format!(
        "{}.{}",
        part(header.to_string().as_bytes()),
        part(claims.to_string().as_bytes())
    );
    format!("{message}.{}", part(&signer.signature("ES256", message.as_bytes())))
}

/// A value in DER, with its tag and its length.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let [.., high, low] = value.len().to_be_bytes();
    let length = match value.len() {
        0..128 => vec![low],
        128..256 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], &length[..], value].concat()
}

impl Signer {
    /// Makes a token with this header and these claims, signed with the algorithm in the header.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.sign(
            header["alg"].as_str().unwrap(),
            &header.to_string(),
            claims.to_string().as_bytes(),
        )
    }

    /// Makes a token of exactly this header and payload, signed with this algorithm.
    pub(crate) fn sign(&self, algorithm: &str, header: &str, payload: &[u8]) -> String {
        let message = format!("{}.{}", b64(header.as_bytes()), b64(payload));
        let signature = b64(&self.signature(algorithm, message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).as_ref().to_owned(),
            Self::P256(key) | Self::P384(key) | Self::P521(key) => {
                key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_owned()
            }
            Self::Rsa(key) => {
                let encoding: &'static dyn signature::RsaEncoding = match algorithm {
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Secret(secret) => {
                let algorithm = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(algorithm, secret), message)
                    .as_ref()
                    .to_owned()
            }
        }
    }

    /// A certificate (RFC 5280, section 4.1) with this key, and with nothing that isn't needed to find it.
    pub(crate) fn certificate(&self, version: bool) -> Vec<u8> {
        let empty = tlv(0x30, &[]);
        let version = if version { tlv(0xa0, &[2, 1, 2]) } else { Vec::new() };
        let fields = [version, vec![2, 1, 7], empty.repeat(4), self.der()].concat();
        tlv(0x30, &[tlv(0x30, &fields), empty, tlv(3, &[0])].concat())
    }

    /// The public key as a JWK, without an id or an algorithm.
    pub(crate) fn jwk(&self) -> Value {
        let point = |key: &EcdsaKeyPair, crv: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
        };
        match self {
            Self::Ed25519(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().as_ref())}),
            Self::P256(key) => point(key, "P-256"),
            Self::P384(key) => point(key, "P-384"),
            Self::P521(key) => point(key, "P-521"),
            Self::Rsa(key) => json!({
                "kty": "RSA",
                "n": b64(key.public_key().modulus().big_endian_without_leading_zero()),
                "e": b64(key.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::Secret(secret) => json!({"kty": "oct", "k": b64(secret)}),
        }
    }

    /// The public key as a JWK with this id.
    pub(crate) fn jwk_with_id(&self, kid: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = kid.into();
        jwk
    }

    /// The public key as `SubjectPublicKeyInfo` in DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        fn der(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
            key.as_der().unwrap().as_ref().to_owned()
        }
        match self {
            Self::Ed25519(key) => der(key.public_key()),
            Self::P256(key) | Self::P384(key) | Self::P521(key) => der(key.public_key()),
            Self::Rsa(key) => der(key.public_key()),
            Self::Secret(_) => panic!("a secret has no public key"),
        }
    }

    /// The public key in PEM.
    pub(crate) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// The RSA public key in the format of PKCS #1.
    pub(crate) fn pkcs1_der(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_owned(),
            _ => panic!("not an RSA key"),
        }
    }
}

/// Encodes a PEM block.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Encodes bytes in base64url without padding.
pub(crate) fn b64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
