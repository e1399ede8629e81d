//! Where an issuer's keys come from, and whether one of them signed a token. The gateway does the arithmetic
//! (`crypto.verify`); which key may be asked for which token is decided here.

pub(crate) mod inline;
pub(crate) mod jwk;
pub(crate) mod pem;
pub(crate) mod remote;
pub(crate) mod secret;
pub(crate) mod set;

use portcullis_sdk::crypto;
use portcullis_sdk::log;

use crate::fault::Fault;
use crate::jws::Jws;
use crate::text::shown;
use jwk::Key;
use remote::Freshness;
use remote::Provider;
use secret::SharedSecret;
use set::Candidates;
use set::KeySet;

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// They stand in the settings.
    Inline(KeySet<'static>),
    /// The issuer publishes them.
    Remote(Provider),
    /// One secret, shared with the issuer.
    Secret(SharedSecret),
}

impl Keys {
    /// Refuses a token that none of the keys signed. `issuer` is for the log.
    pub(crate) fn verify(&self, jws: &Jws<'_>, issuer: &str, freshness: &Freshness) -> Result<(), Fault> {
        match self {
            Self::Inline(keys) => signed_by(keys, jws, issuer).map_err(|unsigned| unsigned.fault),
            Self::Remote(provider) => provider.verify(jws, issuer, freshness),
            Self::Secret(secret) if holds(jws, secret.jwk()) => Ok(()),
            Self::Secret(_) => Err(Fault::Signature(issuer.to_owned())),
        }
    }
}

/// Why none of the keys signed a token, and whether newer keys might have.
struct Unsigned {
    fault: Fault,
    keys_may_be_old: bool,
}

fn signed_by(keys: &KeySet<'_>, jws: &Jws<'_>, issuer: &str) -> Result<(), Unsigned> {
    let (candidates, named) = match keys.candidates(jws) {
        Candidates::Misused => {
            let fault = Fault::Token("has an algorithm that its key is not for");
            return Err(Unsigned {
                fault,
                keys_may_be_old: false,
            });
        }
        Candidates::Named(keys) => (keys, true),
        Candidates::Possible(keys) => (keys, false),
    };
    if candidates.iter().any(|key| holds(jws, &key.json())) {
        return Ok(());
    }
    let fault = match &jws.key_id {
        Some(id) if candidates.is_empty() => Fault::Key {
            issuer: issuer.to_owned(),
            kid: shown(id),
        },
        _ => Fault::Signature(issuer.to_owned()),
    };
    Err(Unsigned {
        fault,
        keys_may_be_old: !named,
    })
}

impl Key<'_> {
    /// The key as the gateway takes it.
    fn json(&self) -> String {
        // A struct of texts has a JSON form; an empty key would verify nothing.
        serde_json::to_string(&self.jwk).unwrap_or_default()
    }
}

fn holds(jws: &Jws<'_>, jwk: &str) -> bool {
    crypto::verify(jws.algorithm, jwk, jws.message, &jws.signature).unwrap_or_else(|reason| {
        log::warn(format!("a key can't be used: {reason}"));
        false
    })
}
