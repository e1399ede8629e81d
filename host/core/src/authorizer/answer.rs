//! Checks the answer of an authorizer before it is used. An answer out of bounds is never repaired: it is a failure of the
//! plugin, and no permission.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::exports::portcullis::auth::authorizer;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Permit;
use crate::decision::Refusal;
use crate::decision::Ruling;
use crate::decision::Verdict;
use crate::decision::check_attributes;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::challenge;
use crate::reuse::MAX_REFUSAL;
use crate::role::Role;
use crate::sandbox::PluginError;
use crate::sandbox::bounded;

/// The most attributes of a permit.
const MAX_ATTRIBUTES: usize = 16;

pub(super) fn read(
    plugin: &ConfiguredPlugin,
    result: Result<authorizer::Permit, authorizer::Denial>,
) -> Result<Ruling, PluginError> {
    let (refusal, verdict) = match result {
        Ok(permit) => {
            return Ok(Ruling {
                next: Next::Permit(permitted(plugin, permit)?),
                verdict: Verdict::Permit,
            });
        }
        Err(authorizer::Denial::Forbidden((why, offer))) => {
            let challenge = challenge(offer)?;
            (Refusal::Forbid { challenge }, Verdict::Forbid(bounded(&why)))
        }
        Err(authorizer::Denial::Hidden(why)) => (Refusal::Hide, Verdict::Hide(bounded(&why))),
        Err(authorizer::Denial::Respond(response)) => {
            let response = plugin.response(response)?;
            let verdict = Verdict::Respond(response.status.as_u16());
            (Refusal::Respond(response), verdict)
        }
        Err(authorizer::Denial::Unavailable(why)) => (
            Refusal::Unavailable {
                role: Role::Authorizer,
                retry_after: None,
            },
            Verdict::Unavailable(bounded(&why)),
        ),
    };
    Ok(Ruling {
        next: Next::Stop(Outcome::Refuse(refusal)),
        verdict,
    })
}

/// For how long equal requests of the same user may get the same ruling. `None` if each needs its own call: an authorizer that
/// can't decide now may be able to a moment later, and a response that a plugin writes may be meant for one client.
pub(super) fn reusable_for(ruling: &Ruling, drew_random: bool) -> Option<Duration> {
    match &ruling.next {
        Next::Permit(permit) => permit.valid_for,
        Next::Stop(Outcome::Refuse(Refusal::Forbid { .. } | Refusal::Hide)) => (!drew_random).then_some(MAX_REFUSAL),
        Next::Continue(_) | Next::Stop(_) => None,
    }
}

fn permitted(plugin: &ConfiguredPlugin, permit: authorizer::Permit) -> Result<Permit, PluginError> {
    if permit.attributes.len() > MAX_ATTRIBUTES {
        return Err(PluginError::output("a permit with more than 16 attributes"));
    }
    check_attributes(&permit.attributes).map_err(|why| PluginError::output(format!("a permit in which {why}")))?;
    Ok(Permit {
        authorizer: Arc::clone(plugin.name().shared()),
        attributes: permit.attributes.into(),
        valid_for: permit.valid_for.map(|seconds| Duration::from_secs(seconds.into())),
    })
}
