//! A plugin that identifies the user of a request. It is called about one request at a time, and every result, failures
//! included, becomes a verdict.

mod answer;
mod builder;
mod disabled;
mod export;

use std::sync::Arc;
use std::time::Instant;

use crate::component::Component;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Ruling;
use crate::decision::Step;
use crate::decision::Verdict;
use crate::grants::AskedGrant;
use crate::grants::Grants;
use crate::grants::UnaskedGrant;
use crate::limits::KeepInstances;
use crate::limits::Limits;
use crate::login::Login;
use crate::plugin::Asked;
use crate::plugin::Call;
use crate::plugin::ConfigurationWarning;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::TurnedAway;
use crate::request::AuthRequest;
use crate::reuse::Known;
use crate::reuse::Lookup;

use self::disabled::Disabled;
use self::export::Authenticate;

pub use self::builder::AuthenticatorBuilder;

/// A component that is configured to authenticate requests, or a disabled authenticator. A clone is the same authenticator.
#[derive(Clone)]
pub struct Authenticator(Kind);

#[derive(Clone)]
enum Kind {
    Configured(ConfiguredPlugin),
    Disabled(Arc<Disabled>),
}

/// The result of one authenticator for one request.
pub(crate) struct CallOutcome {
    pub(crate) next: Next,
    pub(crate) step: Step,
}

impl Authenticator {
    /// Starts to configure a component. `name` is the operator's name for the authenticator, which appears in logs,
    /// metrics and sessions.
    pub fn builder(name: &str, component: &Component) -> AuthenticatorBuilder {
        AuthenticatorBuilder::new(name, component)
    }

    /// An authenticator whose plugin must not run, for this reason: its component isn't the one that the operator wants, for
    /// example. The chain fails where it would ask this authenticator, and the client gets 503, so no weaker check admits a user instead.
    /// Sessions that an authenticator of this name has started aren't accepted. What it was granted counts as credentials
    /// all the same.
    pub fn disabled(name: &str, grants: Grants, why: impl Into<String>) -> Self {
        Self(Kind::Disabled(Arc::new(Disabled::new(name, grants, why.into()))))
    }

    /// The name that the operator gave it.
    pub fn name(&self) -> &str {
        self.shared_name()
    }

    /// Why it is disabled. `None` if it isn't.
    pub fn why_disabled(&self) -> Option<&str> {
        match &self.0 {
            Kind::Configured(_) => None,
            Kind::Disabled(disabled) => Some(&disabled.why),
        }
    }

    /// The component that it runs. `None` if it is disabled.
    pub fn component(&self) -> Option<&Component> {
        self.configured().map(ConfiguredPlugin::component)
    }

    /// Its login. `None` if its component isn't one, or if it is disabled.
    pub fn login(&self) -> Option<Login> {
        self.configured().and_then(Login::of)
    }

    /// What it may read and reach.
    pub fn grants(&self) -> &Grants {
        match &self.0 {
            Kind::Configured(plugin) => plugin.grants(),
            Kind::Disabled(disabled) => &disabled.grants,
        }
    }

    /// The bounds on its calls. `None` if it is disabled.
    pub fn limits(&self) -> Option<&Limits> {
        self.configured().map(ConfiguredPlugin::limits)
    }

    /// Which instances it keeps for later requests. `None` if each request has one of its own, or if it is disabled.
    pub fn kept_instances(&self) -> Option<&KeepInstances> {
        self.configured().and_then(ConfiguredPlugin::kept_instances)
    }

    /// What its settings or the plugin need and its grants and limits don't allow, such as an issuer that isn't in
    /// [`Grants::http`]; and what is granted and never asked for.
    pub fn warnings(&self) -> &[ConfigurationWarning] {
        self.asked().map(|asked| asked.warnings.as_slice()).unwrap_or_default()
    }

    /// What the plugin's manifest and its settings ask for.
    pub fn asked_grants(&self) -> &[AskedGrant] {
        self.asked().map(|asked| asked.grants.as_slice()).unwrap_or_default()
    }

    /// What is granted, and neither the manifest nor the settings ask for. Empty if the plugin doesn't say what it asks for.
    pub fn unasked_grants(&self) -> &[UnaskedGrant] {
        self.asked().map(|asked| asked.unasked.as_slice()).unwrap_or_default()
    }

    fn asked(&self) -> Option<&Asked> {
        self.configured().map(ConfiguredPlugin::asked)
    }

    /// A short text that changes with the component and the settings. `None` if it is disabled.
    pub(crate) fn fingerprint(&self) -> Option<&Arc<str>> {
        self.configured().map(ConfiguredPlugin::fingerprint)
    }

    /// Forgets the decisions and the instances that are kept for later requests. Use it when something outside of the plugin has changed, such as
    /// a user who was locked out.
    pub fn forget_decisions(&self) {
        if let Some(plugin) = self.configured() {
            plugin.forget();
        }
    }

    /// Makes the copy of a configured instance now, with which otherwise each call begins after some thousand calls. Returns its
    /// size in bytes. That takes seconds: call it on a thread that may block.
    ///
    /// # Errors
    ///
    /// Returns why the plugin can't be copied. Each call then configures an instance of its own.
    pub fn copy_configured(&self) -> Result<usize, String> {
        match self.configured() {
            Some(plugin) => plugin.copy_now().map_err(|why| why.to_string()),
            None => Err("it is disabled".to_owned()),
        }
    }

    /// Whether both are the same authenticator, and not only of the same configuration.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Configured(own), Kind::Configured(other)) => own.is(other),
            (Kind::Disabled(own), Kind::Disabled(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Call this when another authenticator has replaced this one. Requests that have it already may still ask it, but the
    /// place among [`EngineBuilder::concurrency`](crate::EngineBuilder::concurrency) that was kept for it is free for others.
    pub fn retire(&self) {
        if let Some(plugin) = self.configured() {
            plugin.retire();
        }
    }

    /// Authenticates one request, by a call or by what an earlier one found out. A call runs to completion even if this
    /// future is dropped.
    pub(crate) async fn ask(&self, request: &Arc<AuthRequest>) -> CallOutcome {
        let (outcome, meters) = match &self.0 {
            Kind::Configured(plugin) => (self.rule(plugin, request).await, plugin.meters()),
            Kind::Disabled(disabled) => (self.outcome(Instant::now(), disabled.ruling()), &disabled.meters),
        };
        meters.record(&outcome.step);
        outcome
    }

    fn configured(&self) -> Option<&ConfiguredPlugin> {
        match &self.0 {
            Kind::Configured(plugin) => Some(plugin),
            Kind::Disabled(_) => None,
        }
    }

    fn shared_name(&self) -> &Arc<str> {
        match &self.0 {
            Kind::Configured(plugin) => plugin.name(),
            Kind::Disabled(disabled) => &disabled.name,
        }
    }

    async fn rule(&self, plugin: &ConfiguredPlugin, request: &Arc<AuthRequest>) -> CallOutcome {
        let start = Instant::now();
        if let Err(why) = plugin.count(request) {
            return self.outcome(start, turned_away(why));
        }
        let mut pending = None;
        if let Some(reuse) = plugin.reuse() {
            match reuse.look_up(request).await {
                Lookup::Known(known) => return self.reused(start, &known),
                Lookup::Unknown(call) => pending = Some(call),
            }
        }
        let (this, asked) = (plugin.clone(), Arc::clone(request));
        let keep = move |call: &Call<Ruling>| {
            let ruling = call.result.as_ref().ok()?;
            let life = answer::reusable_for(ruling, call.drew_random);
            pending?.keep(&asked, ruling, &call.reads, life)
        };
        let export = Authenticate(Arc::clone(request));
        let begun = plugin.call(
            plugin.sender(request),
            export,
            move |answered| answer::read(&this, answered),
            keep,
        );
        match begun {
            Ok(call) => {
                let (call, kept) = call.await;
                let ruling = call.result.unwrap_or_else(|error| failed(error.to_string()));
                let mut outcome = self.outcome(start, ruling);
                outcome.step.reads = call.reads.into();
                outcome.step.kept = kept;
                outcome.step.denied = call.denied;
                outcome.step.warnings = call.warnings;
                outcome.step.memory = call.memory;
                outcome.step.served = call.served;
                outcome
            }
            Err(why) => self.outcome(start, turned_away(why)),
        }
    }

    fn reused(&self, start: Instant, Known { kept, age }: &Known) -> CallOutcome {
        let mut ruling = kept.ruling.clone();
        if let Next::Stop(Outcome::Grant(user)) = &mut ruling.next {
            user.valid_for = user.valid_for.map(|valid_for| valid_for.saturating_sub(*age));
        }
        let mut outcome = self.outcome(start, ruling);
        outcome.step.reads = Arc::clone(&kept.reads);
        outcome.step.reused = Some(*age);
        outcome
    }

    /// The outcome of a ruling about which nothing else is known.
    fn outcome(&self, start: Instant, Ruling { next, verdict }: Ruling) -> CallOutcome {
        let step = Step {
            authenticator: Arc::clone(self.shared_name()),
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
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("name", &self.name())
            .field("component", &self.component())
            .field("disabled", &self.why_disabled())
            .finish_non_exhaustive()
    }
}

/// The ruling if there is no answer of the plugin, for this reason.
fn failed(why: String) -> Ruling {
    let outcome = Outcome::Refuse(Refusal::Unavailable { retry_after: None });
    Ruling {
        next: Next::Stop(outcome),
        verdict: Verdict::Fail(why),
    }
}

fn turned_away(why: TurnedAway) -> Ruling {
    let retry_after = why.retry_after();
    let refusal = match why {
        TurnedAway::Rate { .. } => Refusal::TooManyRequests { retry_after },
        TurnedAway::Breaker(_)
        | TurnedAway::Busy
        | TurnedAway::EngineBusy
        | TurnedAway::Processors { .. }
        | TurnedAway::Failing => Refusal::Unavailable {
            retry_after: Some(retry_after),
        },
    };
    Ruling {
        next: Next::Stop(Outcome::Refuse(refusal)),
        verdict: Verdict::TurnedAway(why.to_string()),
    }
}
