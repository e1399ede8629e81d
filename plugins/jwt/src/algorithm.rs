//! The signature algorithms, each bound to the one type of key that it works with. A set of them is a bit mask, because
//! what a key, an issuer and a token allow is intersected for every request.

use portcullis_sdk::crypto;
use schemars::JsonSchema;
use serde::Deserialize;

/// A signature algorithm of JOSE (RFC 7518, section 3.1; RFC 8037, section 3.1). `none` is not one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
    Es256,
    Es384,
    Hs256,
    Hs384,
    Hs512,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}

impl Algorithm {
    /// Reads the `alg` of a token or of a key. `Ed25519` is the newer name of what `EdDSA` means here (RFC 9864).
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            _ => return None,
        })
    }

    /// What the gateway calls it.
    pub(crate) const fn method(self) -> crypto::Algorithm {
        match self {
            Self::EdDsa => crypto::Algorithm::Ed25519,
            Self::Es256 => crypto::Algorithm::Es256,
            Self::Es384 => crypto::Algorithm::Es384,
            Self::Hs256 => crypto::Algorithm::Hs256,
            Self::Hs384 => crypto::Algorithm::Hs384,
            Self::Hs512 => crypto::Algorithm::Hs512,
            Self::Ps256 => crypto::Algorithm::Ps256,
            Self::Ps384 => crypto::Algorithm::Ps384,
            Self::Ps512 => crypto::Algorithm::Ps512,
            Self::Rs256 => crypto::Algorithm::Rs256,
            Self::Rs384 => crypto::Algorithm::Rs384,
            Self::Rs512 => crypto::Algorithm::Rs512,
        }
    }
}

/// Some of the algorithms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// What an RSA key can do.
    pub(crate) const RSA: Self = Self::of(&[
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
    ]);

    /// What can be verified with a public key, which is everything but HMAC.
    pub(crate) const PUBLIC_KEY: Self =
        Self(Self::RSA.0 | Self::of(&[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384]).0);

    pub(crate) const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        let mut rest = algorithms;
        while let [first, others @ ..] = rest {
            bits |= 1 << *first as u16;
            rest = others;
        }
        Self(bits)
    }

    pub(crate) const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::of(&[algorithm]).0 != 0
    }

    pub(crate) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every one of these is in `other`.
    pub(crate) const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_same_in_a_token_and_in_the_settings() {
        let names = "EdDSA ES256 ES384 HS256 HS384 HS512 PS256 PS384 PS512 RS256 RS384 RS512";
        for name in names.split(' ') {
            let configured: Algorithm = serde_json::from_value(name.into()).unwrap();
            assert_eq!(Algorithm::from_name(name), Some(configured), "{name}");
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
        for name in [
            "none", "None", "NONE", "", "rs256", "RS256 ", "ES512", "RS1", "Ed448", "ES256K", "dir", "RSA-OAEP",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
            assert!(serde_json::from_value::<Algorithm>(name.into()).is_err(), "{name}");
        }
    }

    #[test]
    fn no_public_key_verifies_hmac() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            assert!(!AlgorithmSet::PUBLIC_KEY.contains(algorithm));
        }
        assert!(AlgorithmSet::RSA.is_subset(AlgorithmSet::PUBLIC_KEY));
        assert!(!AlgorithmSet::PUBLIC_KEY.is_subset(AlgorithmSet::RSA));
        assert!(
            AlgorithmSet::RSA
                .intersection(AlgorithmSet::of(&[Algorithm::Es256]))
                .is_empty()
        );
    }
}
