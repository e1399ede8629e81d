//! The private keys with which plugins may sign, by name. They stay here: a plugin gets signatures only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::RsaEncoding;
use aws_lc_rs::signature::RsaKeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

/// A private key that signs: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519. A clone is the same key.
#[derive(Clone)]
pub struct SigningKey(Arc<Key>);

enum Key {
    Ecdsa(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// A signature algorithm of JOSE with a private key (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SigningAlgorithm {
    Ed25519,
    Es256,
    Es384,
    Es512,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}

impl SigningKey {
    /// Reads a key in PEM (`BEGIN PRIVATE KEY`: PKCS #8, RFC 5958).
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such key, or if it is of another kind or size. The text doesn't repeat the key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .map_err(|_| SigningKeyError("it has no PEM section BEGIN PRIVATE KEY (PKCS #8)"))?;
        let der = der.secret_pkcs8_der();
        let ecdsa = [
            (Curve::P256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            (Curve::P384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            (Curve::P521, &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        ];
        let ecdsa = ecdsa
            .into_iter()
            .find_map(|(curve, algorithm): (_, &'static EcdsaSigningAlgorithm)| {
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, der).ok()?;
                Some(Key::Ecdsa(curve, pair))
            });
        let key = ecdsa
            .or_else(|| Ed25519KeyPair::from_pkcs8(der).ok().map(Key::Ed25519))
            .or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(Key::Rsa));
        match key {
            Some(key) => Ok(Self(Arc::new(key))),
            None => Err(SigningKeyError(
                "it is neither RSA of 2048 to 8192 bits, nor ECDSA on P-256, P-384 or P-521, nor Ed25519",
            )),
        }
    }

    /// Signs a message. An ECDSA signature is its two numbers side by side.
    pub(crate) fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Result<Vec<u8>, &'static str> {
        let random = SystemRandom::new();
        match (&*self.0, algorithm) {
            (Key::Ecdsa(Curve::P256, pair), SigningAlgorithm::Es256)
            | (Key::Ecdsa(Curve::P384, pair), SigningAlgorithm::Es384)
            | (Key::Ecdsa(Curve::P521, pair), SigningAlgorithm::Es512) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| FAILED),
            (Key::Ed25519(pair), SigningAlgorithm::Ed25519) => Ok(pair.sign(message).as_ref().to_vec()),
            (Key::Rsa(pair), algorithm) => {
                let encoding = rsa_encoding(algorithm).ok_or(OTHER_TYPE)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(encoding, &random, message, &mut signature);
                signed.map(|()| signature).map_err(|_| FAILED)
            }
            _ => Err(OTHER_TYPE),
        }
    }
}

const FAILED: &str = "the key could not sign";

const OTHER_TYPE: &str = "the key's type or curve is not the algorithm's";

fn rsa_encoding(algorithm: SigningAlgorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        SigningAlgorithm::Ps256 => &signature::RSA_PSS_SHA256,
        SigningAlgorithm::Ps384 => &signature::RSA_PSS_SHA384,
        SigningAlgorithm::Ps512 => &signature::RSA_PSS_SHA512,
        SigningAlgorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        SigningAlgorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        SigningAlgorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        _ => return None,
    })
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Why there is no [`SigningKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct SigningKeyError(&'static str);

/// The keys of an authenticator, by name.
#[derive(Debug, Default)]
pub(crate) struct SigningKeys(BTreeMap<String, SigningKey>);

impl SigningKeys {
    /// Adds a key. It replaces one of the same name.
    pub(crate) fn insert(&mut self, name: &str, key: SigningKey) {
        self.0.insert(name.to_owned(), key);
    }

    /// The key of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&SigningKey> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair;
    use aws_lc_rs::signature::UnparsedPublicKey;
    use aws_lc_rs::signature::VerificationAlgorithm;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn pem(der: &[u8]) -> Vec<u8> {
        let encoded = BASE64_STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n").into_bytes()
    }

    #[test]
    fn each_kind_of_key_signs_with_its_own_algorithms_only() {
        use SigningAlgorithm as A;
        let ecdsa = |algorithm| {
            let pair = EcdsaKeyPair::generate(algorithm).unwrap();
            (
                pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
                pair.public_key().as_ref().to_vec(),
            )
        };
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let ed25519 = (
            ed25519.to_pkcs8v1().unwrap().as_ref().to_vec(),
            ed25519.public_key().as_ref().to_vec(),
        );
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let rsa = (
            rsa.as_der().unwrap().as_ref().to_vec(),
            rsa.public_key().as_ref().to_vec(),
        );
        type Own<'a> = &'a [(SigningAlgorithm, &'a dyn VerificationAlgorithm)];
        let own: [(_, Own<'_>); 5] = [
            (
                ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
                &[(A::Es256, &signature::ECDSA_P256_SHA256_FIXED)],
            ),
            (
                ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
                &[(A::Es384, &signature::ECDSA_P384_SHA384_FIXED)],
            ),
            (
                ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
                &[(A::Es512, &signature::ECDSA_P521_SHA512_FIXED)],
            ),
            (ed25519, &[(A::Ed25519, &signature::ED25519)]),
            (
                rsa,
                &[
                    (A::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
                    (A::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
                    (A::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
                    (A::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
                    (A::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
                    (A::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
                ],
            ),
        ];
        let all = [
            A::Ed25519,
            A::Es256,
            A::Es384,
            A::Es512,
            A::Ps256,
            A::Ps384,
            A::Ps512,
            A::Rs256,
            A::Rs384,
            A::Rs512,
        ];
        for ((private, public), algorithms) in own {
            let key = SigningKey::from_pem(&pem(&private)).unwrap();
            for algorithm in all {
                let signed = key.sign(algorithm, b"message");
                match algorithms.iter().find(|(own, _)| *own == algorithm) {
                    Some((_, verification)) => {
                        let public = UnparsedPublicKey::new(*verification, &public);
                        public.verify(b"message", &signed.unwrap()).unwrap();
                    }
                    None => assert_eq!(signed, Err(OTHER_TYPE), "{algorithm:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_no_private_key_is_an_error_that_does_not_repeat_it() {
        let public = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        for (pem, why) in [
            (&b""[..], "no PEM section BEGIN PRIVATE KEY"),
            (b"hunter2", "no PEM section BEGIN PRIVATE KEY"),
            (public, "no PEM section BEGIN PRIVATE KEY"),
            (&pem(b"hunter2"), "neither RSA of 2048"),
        ] {
            let error = SigningKey::from_pem(pem).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let key = Ed25519KeyPair::generate().unwrap();
        let key = SigningKey::from_pem(&pem(key.to_pkcs8v1().unwrap().as_ref())).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }
}
