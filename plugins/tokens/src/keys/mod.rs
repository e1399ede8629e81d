//! The keys of an issuer. The gateway verifies signatures (`crypto.verify`); this module decides which key is used for
//! which token.

pub mod inline;
pub(crate) mod jwk;
pub(crate) mod pem;
pub mod remote;
pub mod secret;
pub(crate) mod set;

use portcullis_sdk::crypto;
use portcullis_sdk::log;

use crate::error::TokenError;
use crate::jws::Jws;
use crate::text::all_quoted;
use crate::text::quoted;
use jwk::Key;
use remote::Provider;
use remote::RefreshPolicy;
use remote::by_id::KeysById;
use secret::SharedSecret;
use set::Candidates;
use set::KeySet;

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Keys in the settings.
    Inline(KeySet<'static>),
    /// Keys that the issuer publishes one by one.
    ById(KeysById),
    /// Keys that the issuer publishes together.
    Remote(Provider),
    /// A secret that is shared with the issuer.
    Secret(SharedSecret),
}

impl Keys {
    /// Refuses a token that none of the keys signed. The name of the issuer is for the log.
    pub fn verify(&self, jws: &Jws<'_>, issuer: &str, policy: &RefreshPolicy) -> Result<(), TokenError> {
        match self {
            Self::Inline(keys) => {
                keys.tell_unusable(issuer);
                signed_by(keys, jws, issuer)
            }
            Self::ById(keys) => keys.verify(jws, issuer, policy),
            Self::Remote(provider) => provider.verify(jws, issuer, policy),
            Self::Secret(secret) if verifies(jws, secret.jwk(), || "the secret".to_owned()) => Ok(()),
            Self::Secret(_) => Err(TokenError::Signature {
                issuer: issuer.to_owned(),
                untried: String::new(),
            }),
        }
    }
}

fn signed_by(keys: &KeySet<'_>, jws: &Jws<'_>, issuer: &str) -> Result<(), TokenError> {
    let (candidates, untried) = match keys.candidates(jws) {
        Candidates::WrongAlgorithm(expected) => {
            return Err(TokenError::Algorithm {
                found: jws.algorithm.to_string(),
                problem: format!("but the key that it names is for {expected}"),
            });
        }
        Candidates::Keys { keys, untried } => (keys, untried),
    };
    if candidates
        .iter()
        .any(|key| verifies(jws, &key.json(), || key.jwk.label()))
    {
        return Ok(());
    }
    let issuer = issuer.to_owned();
    Err(match &jws.key_id {
        Some(id) if candidates.is_empty() => TokenError::Key {
            issuer,
            kid: quoted(id),
            known: match all_quoted(keys.ids()).as_str() {
                "" => String::new(),
                ids => format!("; it has {ids}"),
            },
        },
        _ => TokenError::Signature {
            issuer,
            untried: match untried {
                0 => String::new(),
                untried => format!("; {untried} more keys of its type were not tried"),
            },
        },
    })
}

impl Key<'_> {
    /// The key as JSON, as the gateway takes it.
    fn json(&self) -> String {
        // A struct of strings can always be serialized. An empty key would verify nothing.
        serde_json::to_string(&self.jwk).unwrap_or_default()
    }
}

/// Whether a key, a JWK, has signed a token. `label` names the key in the log.
fn verifies(jws: &Jws<'_>, jwk: &str, label: impl FnOnce() -> String) -> bool {
    crypto::verify(jws.algorithm, jwk, jws.message, &jws.signature).unwrap_or_else(|reason| {
        log::warn(format!("{} can't be used: {reason}", label()));
        false
    })
}
