//! Sets of signature algorithms. They are bit masks, because the sets of a key, an issuer and a token are intersected
//! for every request.

use std::fmt;

use portcullis_sdk::crypto::Algorithm;

/// A set of algorithms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// The algorithms of RSA keys.
    pub const RSA: Self = Self::of(&[
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
    ]);

    /// The algorithms of public keys, which are all but HMAC.
    pub const PUBLIC_KEY: Self =
        Self(Self::RSA.0 | Self::of(&[Algorithm::Ed25519, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512]).0);

    /// The set of these algorithms.
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        let mut rest = algorithms;
        while let [first, others @ ..] = rest {
            bits |= 1 << *first as u16;
            rest = others;
        }
        Self(bits)
    }

    /// Whether this algorithm is in the set.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::of(&[algorithm]).0 != 0
    }

    /// The algorithms that are in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether no algorithm is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether every algorithm of this set is in `other`.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// The names, as in a token.
impl fmt::Display for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = Algorithm::all().filter(|algorithm| self.contains(*algorithm));
        let names = members.map(|algorithm| algorithm.to_string()).collect::<Vec<_>>();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_public_key_verifies_hmac() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            assert!(!AlgorithmSet::PUBLIC_KEY.contains(algorithm));
        }
        assert_eq!(
            AlgorithmSet::PUBLIC_KEY.to_string(),
            "EdDSA, ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512"
        );
        assert!(AlgorithmSet::RSA.is_subset(AlgorithmSet::PUBLIC_KEY));
        assert!(!AlgorithmSet::PUBLIC_KEY.is_subset(AlgorithmSet::RSA));
        assert!(
            AlgorithmSet::RSA
                .intersection(AlgorithmSet::of(&[Algorithm::Es256]))
                .is_empty()
        );
    }
}
