//! The key that signs assertions for one period. It is derived from a key of the sessions, so gateways that share those have the
//! same one, and nothing has to be stored or sent.

use aws_lc_rs::agreement;
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Signature;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis::session::Key;
use serde::Serialize;

/// The key of a period.
#[derive(Debug)]
pub(super) struct PeriodKey {
    pair: EcdsaKeyPair,
    /// What verifiers need.
    pub(super) public: PublicKey,
}

/// A public key as a JSON Web Key (RFC 7517, section 4; RFC 7518, section 6.2.1).
#[derive(Clone, Debug, Serialize)]
pub(super) struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    alg: &'static str,
    r#use: &'static str,
    /// The thumbprint of the key (RFC 7638).
    pub(super) kid: String,
}

impl PeriodKey {
    /// The key that is derived from this one for a period.
    ///
    /// # Errors
    ///
    /// Returns an error if the cryptographic library fails.
    pub(super) fn derive(root: &Key, period: u64) -> Result<Self, &'static str> {
        let derived = (0..MAX_ATTEMPTS).find_map(|attempt| {
            let purpose = format!("portcullis assertion ES256 {period} {attempt}");
            let private = root.derive(&purpose).ok()?;
            let exchange = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, private.as_bytes()).ok()?;
            Some((private, exchange))
        });
        let (private, exchange) = derived.ok_or(FAILED)?;
        let public = exchange.compute_public_key().map_err(|_| FAILED)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private.as_bytes(),
            public.as_ref(),
        );
        Ok(Self {
            pair: pair.map_err(|_| FAILED)?,
            public: PublicKey::of_point(public.as_ref()).ok_or(FAILED)?,
        })
    }

    /// Signs a message: ES256 (RFC 7518, section 3.4).
    ///
    /// # Errors
    ///
    /// Returns an error if the system's random source fails.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Signature, &'static str> {
        self.pair.sign(&SystemRandom::new(), message).map_err(|_| FAILED)
    }
}

impl PublicKey {
    /// `None` if the point is not an uncompressed one of P-256 (SEC 1, section 2.3.3).
    fn of_point(point: &[u8]) -> Option<Self> {
        let (&[UNCOMPRESSED], coordinates) = point.split_first_chunk()? else {
            return None;
        };
        let (x, y) = coordinates.split_at_checked(COORDINATE)?;
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        let named = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = digest::digest(&digest::SHA256, named.as_bytes());
        Some(Self {
            kty: "EC",
            crv: "P-256",
            x,
            y,
            alg: "ES256",
            r#use: "sig",
            kid: BASE64_URL_SAFE_NO_PAD.encode(thumbprint),
        })
    }
}

/// Not all numbers of 32 bytes are keys of P-256: one of 2³² isn't.
const MAX_ATTEMPTS: u8 = 8;

const FAILED: &str = "the key of the assertions can't be used";

const UNCOMPRESSED: u8 = 4;

/// The length of a coordinate, in bytes.
const COORDINATE: usize = 32;
