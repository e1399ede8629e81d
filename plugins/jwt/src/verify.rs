//! Verifies a token and returns its claims. This is the only way to get claims: the keys of the chosen issuer must
//! verify the signature, and then the claims must name this issuer and audience and be valid at this time.

use std::time::Duration;

use portcullis_tokens::claims::Claims;
use portcullis_tokens::claims::times::TimeRules;
use portcullis_tokens::error::TokenError;
use portcullis_tokens::jws::Jws;
use portcullis_tokens::keys::remote::RefreshPolicy;

use crate::issuer::Issuer;

/// A verified token.
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    /// How long the token is still valid. `None` if it never expires.
    pub(crate) remaining: Option<Duration>,
}

/// Verifies a token of this issuer at the time `now`, in seconds since 1970.
pub(crate) fn verify(
    jws: &Jws<'_>,
    issuer: &Issuer,
    times: TimeRules,
    policy: &RefreshPolicy,
    now: u64,
) -> Result<Verified, TokenError> {
    if !issuer.algorithms.contains(jws.algorithm) {
        return Err(TokenError::Algorithm {
            found: jws.algorithm.to_string(),
            problem: format!(
                "but its issuer may only use {} (settings: algorithms)",
                issuer.algorithms
            ),
        });
    }
    issuer.check_header(jws)?;
    issuer.keys.verify(jws, &issuer.label, policy)?;
    let claims = Claims::from_verified(&jws.payload)?;
    issuer.check(&claims)?;
    let remaining = times.check(&claims, issuer.allow_no_expiry, now)?;
    Ok(Verified { claims, remaining })
}
