//! Verifies JOSE signatures natively, with AWS-LC. The algorithm must match the type of the key, so that a token can't
//! make the host use a public key as a shared secret (CVE-2016-5431).

use std::sync::Arc;

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::hmac;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaVerificationAlgorithm;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::HostState;
use super::budget::Share;
use super::slow_hash::SlowHash;
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
        let key = self.keys.get(algorithm, key);
        Ok(key
            .map(|key| key.has_signed(&message, &signature))
            .map_err(str::to_owned))
    }

    async fn verify_password(&mut self, password: Vec<u8>, hash: String) -> wasmtime::Result<Result<bool, String>> {
        let hash = match SlowHash::parse(&hash) {
            Ok(hash) => hash,
            Err(why) => return Ok(Err(why)),
        };
        let mut share = Share::of(Arc::clone(&self.memory));
        if !share.take(hash.memory()) {
            return Ok(Err("the memory for plugins is used up (plugins.memory)".to_owned()));
        }
        let check = move || {
            let result = hash.is_of(&password);
            drop(share);
            result
        };
        self.clock.compute(&self.permit, check).await
    }
}

/// Public keys that were used before. Reading one takes longer than finding it, and the first signature that it verifies
/// takes longer than the next ones.
#[derive(Debug)]
pub(crate) struct Keys(moka::sync::Cache<(u8, Vec<u8>), Arc<ParsedPublicKey>>);

/// The size of all public keys that are kept, in bytes: some thousand keys.
const MAX_KEYS: u64 = 4 << 20;

/// The longest JSON Web Key that is kept, in bytes. One of 8192 bits with its certificates is shorter.
const MAX_JWK: usize = 16 << 10;

impl Keys {
    /// No keys yet.
    pub(crate) fn new() -> Self {
        // A parsed key takes about as much as its JWK twice more.
        let weight = |(_, jwk): &(u8, Vec<u8>), _: &Arc<_>| u32::try_from(3 * jwk.len() + 1024).unwrap_or(u32::MAX);
        let keys = moka::sync::Cache::builder().weigher(weight).max_capacity(MAX_KEYS);
        Self(keys.build())
    }

    fn get(&self, algorithm: Algorithm, jwk: Vec<u8>) -> Result<Key, &'static str> {
        let known = (algorithm as u8, jwk);
        if let Some(key) = self.0.get(&known) {
            return Ok(Key::Public(key));
        }
        let key = Key::parse(algorithm, &known.1)?;
        if let Key::Public(key) = &key
            && known.1.len() <= MAX_JWK
        {
            self.0.insert(known, Arc::clone(key));
        }
        Ok(key)
    }
}

/// What verifies signatures of one algorithm.
enum Key {
    Public(Arc<ParsedPublicKey>),
    /// Not kept for other calls, so that no secret lies in memory for longer than it must.
    Secret(Box<hmac::Key>),
}

impl Key {
    fn parse(algorithm: Algorithm, jwk: &[u8]) -> Result<Self, &'static str> {
        let jwk: Jwk<'_> =
            serde_json::from_slice(jwk).map_err(|_| "the key is not a JWK of type RSA, EC, OKP or oct")?;
        match (algorithm, jwk) {
            (Algorithm::Rs256, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA256, n, e),
            (Algorithm::Rs384, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA384, n, e),
            (Algorithm::Rs512, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PKCS1_2048_8192_SHA512, n, e),
            (Algorithm::Ps256, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA256, n, e),
            (Algorithm::Ps384, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA384, n, e),
            (Algorithm::Ps512, Jwk::Rsa { n, e }) => rsa(&signature::RSA_PSS_2048_8192_SHA512, n, e),
            (Algorithm::Es256, Jwk::Ec { crv: "P-256", x, y }) => ecdsa(&signature::ECDSA_P256_SHA256_FIXED, 32, x, y),
            (Algorithm::Es384, Jwk::Ec { crv: "P-384", x, y }) => ecdsa(&signature::ECDSA_P384_SHA384_FIXED, 48, x, y),
            (Algorithm::Es512, Jwk::Ec { crv: "P-521", x, y }) => ecdsa(&signature::ECDSA_P521_SHA512_FIXED, 66, x, y),
            (Algorithm::Ed25519, Jwk::Okp { crv: "Ed25519", x }) => {
                public(ParsedPublicKey::new(&signature::ED25519, decode(x)?))
            }
            (Algorithm::Hs256, Jwk::Oct { k }) => mac(hmac::HMAC_SHA256, k),
            (Algorithm::Hs384, Jwk::Oct { k }) => mac(hmac::HMAC_SHA384, k),
            (Algorithm::Hs512, Jwk::Oct { k }) => mac(hmac::HMAC_SHA512, k),
            _ => Err("the key's type or curve is not the algorithm's"),
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// A public key. Not all numbers of the right size are one.
fn public(parsed: Result<ParsedPublicKey, KeyRejected>) -> Result<Key, &'static str> {
    let key = parsed
        .map_err(|_| "its numbers are no public key: they are no point on the curve, or no modulus and exponent")?;
    Ok(Key::Public(Arc::new(key)))
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

fn rsa(parameters: &'static RsaParameters, n: &str, e: &str) -> Result<Key, &'static str> {
    let (n, e) = (decode(n)?, decode(e)?);
    // RFC 7518, section 6.3.1.1, forbids leading zeros of the modulus, but some providers send one.
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    let n = n.get(zeros..).unwrap_or_default();
    if !(2048..=8192).contains(&(n.len() * 8)) {
        return Err("the RSA key has fewer than 2048 or more than 8192 bits");
    }
    let key = RsaPublicKeyComponents { n, e: e.as_slice() };
    public(key.to_parsed_public_key(parameters))
}

fn ecdsa(
    algorithm: &'static EcdsaVerificationAlgorithm,
    coordinate: usize,
    x: &str,
    y: &str,
) -> Result<Key, &'static str> {
    let (x, y) = (decode(x)?, decode(y)?);
    if x.len() != coordinate || y.len() != coordinate {
        return Err("a coordinate of the EC key has the wrong length");
    }
    let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
    public(ParsedPublicKey::new(algorithm, point))
}

fn mac(algorithm: hmac::Algorithm, k: &str) -> Result<Key, &'static str> {
    let secret = decode(k)?;
    // The key must be at least as long as the digest (RFC 7518, section 3.2).
    if secret.len() < algorithm.digest_algorithm().output_len() {
        return Err("the secret is shorter than the algorithm's digest");
    }
    Ok(Key::Secret(Box::new(hmac::Key::new(algorithm, &secret))))
}

fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a member of the key is not base64url")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair;
    use aws_lc_rs::signature::RsaKeyPair;

    use super::*;

    fn jwk(pair: &RsaKeyPair) -> Vec<u8> {
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let [n, e] = [components.n, components.e].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
        format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#).into_bytes()
    }

    /// A key that is kept is the one that was asked for, with its algorithm.
    #[test]
    fn a_key_that_is_kept_verifies_what_it_verified_before() {
        let [one, other] = [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        let mut signed = vec![0; one.public_modulus_len()];
        one.sign(
            &signature::RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            b"message",
            &mut signed,
        )
        .unwrap();
        let keys = Keys::new();
        for (algorithm, pair, message, expected) in [
            (Algorithm::Rs256, &one, "message", true),
            (Algorithm::Rs256, &one, "another message", false),
            (Algorithm::Rs512, &one, "message", false),
            (Algorithm::Ps256, &one, "message", false),
            (Algorithm::Rs256, &other, "message", false),
        ] {
            for _ in 0..2 {
                let key = keys.get(algorithm, jwk(pair)).unwrap_or_else(|why| panic!("{why}"));
                assert_eq!(
                    key.has_signed(message.as_bytes(), &signed),
                    expected,
                    "{algorithm:?} {message}"
                );
            }
        }
        keys.0.run_pending_tasks();
        assert_eq!(keys.0.entry_count(), 4);
        assert!(keys.get(Algorithm::Hs256, jwk(&one)).is_err(), "CVE-2016-5431");
    }

    #[test]
    fn what_is_secret_large_or_impossible_is_not_kept() {
        let keys = Keys::new();
        let zeros = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
        let large = format!(r#","x5c":["{}"]}}"#, "A".repeat(MAX_JWK));
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let large = String::from_utf8(jwk(&pair)).unwrap().replace('}', &large);
        for (algorithm, jwk) in [
            (Algorithm::Hs256, format!(r#"{{"kty":"oct","k":"{zeros}"}}"#)),
            (Algorithm::Rs256, large),
        ] {
            let key = keys
                .get(algorithm, jwk.into_bytes())
                .unwrap_or_else(|why| panic!("{why}"));
            assert!(!key.has_signed(b"message", b"signature"));
        }
        // Row B8 of the field reports: why such a key verifies nothing is told.
        let nowhere = format!(r#"{{"kty":"EC","crv":"P-256","x":"{zeros}","y":"{zeros}"}}"#);
        let problem = keys.get(Algorithm::Es256, nowhere.into_bytes()).err();
        assert!(
            problem.is_some_and(|why| why.contains("no point on the curve")),
            "{problem:?}"
        );
        keys.0.run_pending_tasks();
        assert_eq!(keys.0.entry_count(), 0);
    }
}
