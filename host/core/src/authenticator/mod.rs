//! A plugin that identifies the user of a request. It is called about one request at a time, and every result, failures
//! included, becomes a verdict.

mod answer;
mod builder;

use std::sync::Arc;
use std::time::Instant;

use crate::component::Component;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Step;
use crate::decision::Verdict;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::plugin::Call;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::SettingsWarning;
use crate::plugin::TurnedAway;
use crate::request::AuthRequest;
use crate::sandbox::PluginError;

pub(crate) use self::answer::Next;
pub use self::builder::AuthenticatorBuilder;

/// A component that is configured to authenticate requests. A clone is the same authenticator.
#[derive(Clone)]
pub struct Authenticator(ConfiguredPlugin);

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

    /// The name that the operator gave it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The component that it runs.
    pub fn component(&self) -> &Component {
        self.0.component()
    }

    /// What it may read and reach.
    pub fn grants(&self) -> &Grants {
        self.0.grants()
    }

    /// The bounds on its calls.
    pub fn limits(&self) -> &Limits {
        self.0.limits()
    }

    /// What its settings need, and its grants and limits don't allow: an issuer that isn't in [`Grants::http`], for
    /// example. The plugin's schema says what they need.
    pub fn warnings(&self) -> &[SettingsWarning] {
        self.0.warnings()
    }

    /// A short text that changes with the component and the settings.
    pub(crate) fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    /// Authenticates one request. The call runs to completion even if this future is dropped.
    pub(crate) async fn ask(&self, request: &Arc<AuthRequest>) -> CallOutcome {
        let start = Instant::now();
        let this = self.clone();
        let called = self
            .0
            .call(request, move |answered| answer::read(&this, answered))
            .await;
        let ((next, verdict), reads, denied, warnings) = match called {
            Ok(Call {
                result,
                reads,
                denied,
                warnings,
            }) => (result.unwrap_or_else(|error| failed(&error)), reads, denied, warnings),
            Err(why) => (turned_away(why), Vec::new(), 0, Vec::new()),
        };
        let step = Step {
            authenticator: Arc::clone(self.0.name()),
            verdict,
            reads,
            denied,
            warnings,
            elapsed: start.elapsed(),
        };
        self.0.meters().record(&step);
        CallOutcome { next, step }
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("name", &self.name())
            .field("component", self.component())
            .finish_non_exhaustive()
    }
}

fn failed(error: &PluginError) -> (Next, Verdict) {
    let outcome = Outcome::Refuse(Refusal::Unavailable { retry_after: None });
    (Next::Stop(outcome), Verdict::Fail(error.to_string()))
}

fn turned_away(why: TurnedAway) -> (Next, Verdict) {
    let retry_after = why.retry_after();
    let refusal = match why {
        TurnedAway::Rate { .. } => Refusal::TooManyRequests { retry_after },
        TurnedAway::Breaker(_) | TurnedAway::Busy | TurnedAway::EngineBusy | TurnedAway::Processors { .. } => {
            Refusal::Unavailable {
                retry_after: Some(retry_after),
            }
        }
    };
    let next = Next::Stop(Outcome::Refuse(refusal));
    (next, Verdict::TurnedAway(why.to_string()))
}
