//! A plugin that says who sent a request. It is asked about one request at a time, each in a fresh instance, and whatever
//! the plugin does ends as a verdict.

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
use crate::plugin::TurnedAway;
use crate::request::AuthRequest;
use crate::sandbox::PluginError;

pub(crate) use self::answer::Ending;
pub use self::builder::AuthenticatorBuilder;

/// A configured plugin. A clone is the same authenticator.
#[derive(Clone)]
pub struct Authenticator(ConfiguredPlugin);

/// One authenticator's word on one request.
pub(crate) struct Said {
    pub(crate) ending: Ending,
    pub(crate) step: Step,
}

impl Authenticator {
    /// Starts to configure a component. The name is the operator's; it stands in logs and sessions.
    pub fn builder(name: &str, component: &Component) -> AuthenticatorBuilder {
        AuthenticatorBuilder::new(name, component)
    }

    /// The operator's name for it.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// What it runs.
    pub fn component(&self) -> &Component {
        self.0.component()
    }

    /// What it may see and reach.
    pub fn grants(&self) -> &Grants {
        self.0.grants()
    }

    /// What its calls may cost.
    pub fn limits(&self) -> &Limits {
        self.0.limits()
    }

    /// A short text that is another one for another component or other settings.
    pub(crate) fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    /// Asks about one request. Whoever asks may go away: the call still runs to its end.
    pub(crate) async fn ask(&self, request: &Arc<AuthRequest>) -> Said {
        let start = Instant::now();
        let this = self.clone();
        let called = self
            .0
            .call(request, move |answered| answer::read(&this, answered))
            .await;
        let ((ending, verdict), asked, denied) = match called {
            Ok(Call { result, asked, denied }) => (result.unwrap_or_else(|error| failed(&error)), asked, denied),
            Err(why) => (turned_away(why), Vec::new(), 0),
        };
        let step = Step {
            authenticator: Arc::clone(self.0.name()),
            verdict,
            asked,
            denied,
            elapsed: start.elapsed(),
        };
        self.0.meters().asked(&step);
        Said { ending, step }
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

fn failed(error: &PluginError) -> (Ending, Verdict) {
    let outcome = Outcome::Refuse(Refusal::Unavailable { retry_after: None });
    (Ending::Done(outcome), Verdict::Fail(error.to_string()))
}

fn turned_away(why: TurnedAway) -> (Ending, Verdict) {
    let retry_after = why.retry_after();
    let refusal = match why {
        TurnedAway::Rate(_) => Refusal::TooManyRequests { retry_after },
        TurnedAway::Breaker(_) | TurnedAway::Busy => Refusal::Unavailable {
            retry_after: Some(retry_after),
        },
    };
    let ending = Ending::Done(Outcome::Refuse(refusal));
    (ending, Verdict::TurnedAway(why.to_string()))
}
