//! The host function that signs with a key that the operator granted by name. The plugin never sees the key.

use super::HostState;
use crate::contract::portcullis::auth::crypto::Algorithm;
use crate::contract::portcullis::auth::signing;
use crate::signing::SigningAlgorithm;

/// The most signatures of one call. A login needs one, and an RSA key of 8192 bits takes 50 ms for it.
pub(super) const MAX_SIGNATURES: usize = 4;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

impl signing::Host for HostState {
    async fn sign(
        &mut self,
        key: String,
        algorithm: Algorithm,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.used("a signing key");
        let granted = self.grants.signing.contains(&key);
        let Some(key) = self.signing_keys.get(&key).filter(|_| granted).cloned() else {
            return Ok(Err("no key of this name is granted (grants.signing)".to_owned()));
        };
        let Some(algorithm) = with_private_key(algorithm) else {
            return Ok(Err(
                "the algorithm has a shared secret instead of a private key".to_owned()
            ));
        };
        if message.len() > MAX_MESSAGE {
            return Ok(Err("the message is longer than 64 KiB".to_owned()));
        }
        match self.signatures_left.checked_sub(1) {
            Some(left) => self.signatures_left = left,
            None => return Ok(Err("more signatures than 4 in one call".to_owned())),
        }
        let sign = move || key.sign(algorithm, &message).map_err(str::to_owned);
        self.clock.compute(&self.permit, sign).await
    }
}

const fn with_private_key(algorithm: Algorithm) -> Option<SigningAlgorithm> {
    Some(match algorithm {
        Algorithm::Ed25519 => SigningAlgorithm::Ed25519,
        Algorithm::Es256 => SigningAlgorithm::Es256,
        Algorithm::Es384 => SigningAlgorithm::Es384,
        Algorithm::Es512 => SigningAlgorithm::Es512,
        Algorithm::Ps256 => SigningAlgorithm::Ps256,
        Algorithm::Ps384 => SigningAlgorithm::Ps384,
        Algorithm::Ps512 => SigningAlgorithm::Ps512,
        Algorithm::Rs256 => SigningAlgorithm::Rs256,
        Algorithm::Rs384 => SigningAlgorithm::Rs384,
        Algorithm::Rs512 => SigningAlgorithm::Rs512,
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
    })
}
