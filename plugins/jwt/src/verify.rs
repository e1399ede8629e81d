//! From a token to claims, in one way only: the issuer is chosen, its keys hold the signature, and then the claims are
//! read and must be of this issuer, for this audience and of this time.

use std::time::Duration;

use crate::claims::Claims;
use crate::claims::times::TimeRules;
use crate::fault::Fault;
use crate::issuer::Issuer;
use crate::jws::Jws;
use crate::keys::remote::Freshness;

/// What a token that holds gives.
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    /// How long it is still valid; none: for ever.
    pub(crate) remaining: Option<Duration>,
}

/// Verifies a token of this issuer at `now`, in seconds since 1970.
pub(crate) fn verify(
    jws: &Jws<'_>,
    issuer: &Issuer,
    times: TimeRules,
    freshness: &Freshness,
    now: u64,
) -> Result<Verified, Fault> {
    if !issuer.algorithms.contains(jws.algorithm) {
        return Err(Fault::Token(
            "has an algorithm that is not accepted from its issuer (settings: algorithms)",
        ));
    }
    issuer.keys.verify(jws, issuer.label(), freshness)?;
    let claims = Claims::of_verified(&jws.payload)?;
    issuer.check(&claims)?;
    let remaining = times.check(&claims, issuer.allow_no_expiry, now)?;
    Ok(Verified { claims, remaining })
}
