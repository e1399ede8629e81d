//! One question to a plugin about a request, in any role: answered by a call or by what an earlier one found out. Every result,
//! failures included, becomes a ruling and a step for the operator.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::Call;
use super::ConfiguredPlugin;
use super::TurnedAway;
use crate::decision::Authenticated;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Ruling;
use crate::decision::Step;
use crate::decision::Verdict;
use crate::request::AuthRequest;
use crate::reuse::Known;
use crate::reuse::Lookup;
use crate::role::PluginName;
use crate::sandbox::Export;
use crate::sandbox::PluginError;

/// A function by which a plugin decides about a request.
pub(crate) trait Decides: Export {
    /// The user whom the plugin is told about. `None` for an authenticator, and for a request without a user.
    fn user(&self) -> Option<&Authenticated>;

    /// Checks the answer.
    fn read(plugin: &ConfiguredPlugin, answer: Self::Answer) -> Result<Ruling, PluginError>;

    /// For how long equal requests may get the same ruling. `None` if each needs its own call.
    fn reusable_for(ruling: &Ruling, drew_random: bool) -> Option<Duration>;
}

/// The result of one plugin for one request.
pub(crate) struct CallOutcome {
    pub(crate) next: Next,
    pub(crate) step: Step,
}

impl ConfiguredPlugin {
    /// Decides about a request. A call runs to completion even if this future is dropped.
    pub(super) async fn decide<X: Decides>(&self, request: &Arc<AuthRequest>, export: X) -> CallOutcome {
        let start = Instant::now();
        if let Err(why) = self.count(request) {
            return outcome(self.name(), start, turned_away(self.name(), why));
        }
        let mut pending = None;
        if let Some(reuse) = self.reuse() {
            match reuse.look_up(request, export.user()).await {
                Lookup::Known(known) => return reused(self.name(), start, &known),
                Lookup::Unknown(call) => pending = Some(call),
            }
        }
        let (this, asked) = (self.clone(), Arc::clone(request));
        let keep = move |call: &Call<Ruling>| {
            let ruling = call.result.as_ref().ok()?;
            let life = X::reusable_for(ruling, call.drew_random);
            pending?.keep(&asked, ruling, &call.reads, life)
        };
        let sender = self.sender(request, export.user());
        let begun = self.call(sender, export, move |answered| X::read(&this, answered), keep);
        match begun {
            Ok(call) => {
                let (call, kept) = call.await;
                let ruling = call
                    .result
                    .unwrap_or_else(|error| failed(self.name(), error.to_string()));
                let mut outcome = outcome(self.name(), start, ruling);
                outcome.step.reads = call.reads.into();
                outcome.step.kept = kept;
                outcome.step.denied = call.denied;
                outcome.step.warnings = call.warnings;
                outcome.step.memory = call.memory;
                outcome.step.served = call.served;
                outcome
            }
            Err(why) => outcome(self.name(), start, turned_away(self.name(), why)),
        }
    }
}

fn reused(name: &PluginName, start: Instant, Known { kept, age }: &Known) -> CallOutcome {
    let mut ruling = kept.ruling.clone();
    let left = |valid_for: &mut Option<Duration>| {
        *valid_for = valid_for.map(|valid_for| valid_for.saturating_sub(*age));
    };
    match &mut ruling.next {
        Next::Stop(Outcome::Grant(user)) => left(&mut user.valid_for),
        Next::Permit(permit) => left(&mut permit.valid_for),
        Next::Continue(_) | Next::Stop(Outcome::Refuse(_)) => {}
    }
    let mut outcome = outcome(name, start, ruling);
    outcome.step.reads = Arc::clone(&kept.reads);
    outcome.step.reused = Some(*age);
    outcome
}

/// The outcome of a ruling about which nothing else is known.
pub(super) fn outcome(name: &PluginName, start: Instant, Ruling { next, verdict }: Ruling) -> CallOutcome {
    let step = Step {
        name: Arc::clone(name.shared()),
        verdict,
        reads: Arc::default(),
        reused: None,
        kept: None,
        denied: 0,
        warnings: Vec::new(),
        memory: 0,
        served: 0,
        elapsed: start.elapsed(),
    };
    CallOutcome { next, step }
}

/// The ruling if there is no answer of the plugin, for this reason.
pub(super) fn failed(name: &PluginName, why: String) -> Ruling {
    let outcome = Outcome::Refuse(Refusal::Unavailable {
        role: name.role(),
        retry_after: None,
    });
    Ruling {
        next: Next::Stop(outcome),
        verdict: Verdict::Fail(why),
    }
}

fn turned_away(name: &PluginName, why: TurnedAway) -> Ruling {
    let retry_after = why.retry_after();
    let refusal = match why {
        TurnedAway::Rate { .. } => Refusal::TooManyRequests { retry_after },
        TurnedAway::Breaker(_)
        | TurnedAway::Busy
        | TurnedAway::EngineBusy
        | TurnedAway::Processors { .. }
        | TurnedAway::Failing => Refusal::Unavailable {
            role: name.role(),
            retry_after: Some(retry_after),
        },
    };
    Ruling {
        next: Next::Stop(Outcome::Refuse(refusal)),
        verdict: Verdict::TurnedAway(why.to_string()),
    }
}
