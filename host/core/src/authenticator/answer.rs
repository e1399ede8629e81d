//! Checks a plugin's answer before it is used. An answer out of bounds is never repaired, because the host would have to
//! guess the user. A user out of bounds is denied; any other answer out of bounds is a failure of the plugin.

use std::time::Duration;

use crate::contract::portcullis::auth::types;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Ruling;
use crate::decision::Verdict;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::challenge;
use crate::reuse::MAX_REFUSAL;
use crate::role::Role;
use crate::sandbox::PluginError;
use crate::sandbox::bounded;

pub(super) fn read(
    plugin: &ConfiguredPlugin,
    result: Result<types::Grant, types::Refusal>,
) -> Result<Ruling, PluginError> {
    let (outcome, verdict) = match result {
        Ok(grant) => granted(plugin, grant)?,
        Err(types::Refusal::NotMine(offer)) => {
            let why = offer.as_ref().and_then(description);
            return Ok(Ruling {
                next: Next::Continue(challenge(offer)?),
                verdict: Verdict::Pass(why),
            });
        }
        Err(types::Refusal::Unauthenticated((why, offer))) => {
            let challenges = challenge(offer)?.into_iter().collect();
            let refusal = Refusal::Unauthenticated {
                credentials: true,
                challenges,
            };
            (Outcome::Refuse(refusal), Verdict::Reject(bounded(&why)))
        }
        Err(types::Refusal::Forbidden((why, offer))) => {
            let challenge = challenge(offer)?;
            (
                Outcome::Refuse(Refusal::Forbid { challenge }),
                Verdict::Forbid(bounded(&why)),
            )
        }
        Err(types::Refusal::Respond(response)) => {
            let response = plugin.response(response)?;
            let verdict = Verdict::Respond(response.status.as_u16());
            (Outcome::Refuse(Refusal::Respond(response)), verdict)
        }
        Err(types::Refusal::Unavailable(why)) => (
            Outcome::Refuse(Refusal::Unavailable {
                role: Role::Authenticator,
                retry_after: None,
            }),
            Verdict::Unavailable(bounded(&why)),
        ),
    };
    Ok(Ruling {
        next: Next::Stop(outcome),
        verdict,
    })
}

/// For how long equal requests may get the same ruling. `None` if each needs its own call: an authenticator that can't decide
/// now may be able to a moment later, and a response that a plugin writes may have something in it that is valid once,
/// such as the state of a login or a nonce. The same holds of headers that it adds to the response for a user.
pub(super) fn reusable_for(ruling: &Ruling, drew_random: bool) -> Option<Duration> {
    match &ruling.next {
        Next::Stop(Outcome::Grant(user)) if user.response_headers.is_empty() => user.valid_for,
        // A challenge with random numbers in it may be meant for one client.
        Next::Continue(_) | Next::Stop(Outcome::Refuse(Refusal::Unauthenticated { .. } | Refusal::Forbid { .. })) => {
            (!drew_random).then_some(MAX_REFUSAL)
        }
        Next::Permit(_) | Next::Stop(_) => None,
    }
}

fn granted(plugin: &ConfiguredPlugin, grant: types::Grant) -> Result<(Outcome, Verdict), PluginError> {
    Ok(match plugin.authenticated(grant)? {
        Ok(authenticated) => {
            let user = authenticated.identity.name().to_owned();
            (Outcome::Grant(authenticated), Verdict::Grant { user })
        }
        Err(why) => {
            let refusal = Refusal::Forbid { challenge: None };
            (Outcome::Refuse(refusal), Verdict::Forbid(why))
        }
    })
}

/// What a challenge says about the error (RFC 6750, section 3).
fn description(offer: &types::Challenge) -> Option<String> {
    let mut parameters = offer.parameters.iter();
    let (_, description) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("error_description"))?;
    Some(bounded(description))
}
