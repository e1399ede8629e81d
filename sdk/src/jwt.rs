//! Lets the `jsonwebtoken` crate verify signatures through the gateway. The crate still reads the token, binds the
//! algorithm to the key and validates the claims; [`crypto::verify`] only checks the signature.
//!
//! Call [`install`], then use `jsonwebtoken` as usual:
//! `decode(token, &DecodingKey::from_jwk(&jwk)?, &validation)`. Keys can be JWKs, RSA moduli with exponents, points on
//! P-256 and P-384, Ed25519 keys and HMAC secrets. Keys in DER or PEM are not supported, as the gateway takes JWKs.

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

/// Makes `jsonwebtoken` verify signatures through the gateway for the rest of the process. Signing is not supported.
/// Further calls have no effect.
pub fn install() {
    // An error means that a provider is already installed. It is this one, since the crate is built without any other.
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
                // `jsonwebtoken` drops the reason, but the operator has to know about a key that can't be used.
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

/// Converts the key back into a JWK (RFC 7518, section 6; RFC 8037, section 2).
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

/// The curve and the coordinates of an uncompressed point (SEC 1, section 2.3.3). Its length identifies the curve.
fn coordinates(point: &[u8]) -> Option<(&'static str, &[u8], &[u8])> {
    let (curve, size) = match point.len() {
        65 => ("P-256", 32),
        97 => ("P-384", 48),
        _ => return None,
    };
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(size)?;
    Some((curve, x, y))
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
