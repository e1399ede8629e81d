//! A configured plugin: a component with a name, settings, grants and limits. It is asked about one request at a time,
//! each in a fresh instance, and whatever the plugin does ends as a verdict.

mod answer;
mod settings;

use std::sync::Arc;
use std::time::Instant;

use self::answer::Said;
use self::settings::check;
use crate::component::Component;
use crate::component::Digest;
use crate::decision::Asked;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Step;
use crate::decision::Verdict;
use crate::detach::Detach;
use crate::egress::Egress;
use crate::egress::Outbound;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::metering::Meters;
use crate::negotiate::Negotiator;
use crate::overload::Overload;
use crate::overload::Place;
use crate::overload::TurnedAway;
use crate::request::AuthRequest;
use crate::sandbox::Cache;
use crate::sandbox::Instance;
use crate::sandbox::PluginError;
use crate::sandbox::Reply;
use crate::sandbox::Surroundings;
use crate::sandbox::bounded;
use crate::sandbox::error;

pub(crate) use self::answer::Ending;
pub use self::settings::ConfigureError;
pub use self::settings::SettingsError;

/// A configured plugin. A clone is the same authenticator.
#[derive(Clone)]
pub struct Authenticator(Arc<Shared>);

struct Shared {
    component: Component,
    settings: String,
    fingerprint: String,
    surroundings: Surroundings,
    overload: Arc<Overload>,
    meters: Meters,
}

impl Authenticator {
    /// Starts to configure a component. The name is the operator's; it stands in logs and sessions.
    pub fn builder(name: &str, component: &Component) -> AuthenticatorBuilder {
        AuthenticatorBuilder {
            name: name.into(),
            component: component.clone(),
            settings: serde_json::Value::Object(serde_json::Map::new()),
            grants: Grants::default(),
            limits: Limits::default(),
            outbound: Outbound::default(),
            negotiator: None,
        }
    }

    /// The operator's name for it.
    pub fn name(&self) -> &str {
        &self.0.surroundings.authenticator
    }

    /// What it runs.
    pub fn component(&self) -> &Component {
        &self.0.component
    }

    /// What it may see and reach.
    pub fn grants(&self) -> &Grants {
        &self.0.surroundings.grants
    }

    /// What its calls may cost.
    pub fn limits(&self) -> &Limits {
        &self.0.surroundings.limits
    }

    /// A short text that is another one for another component or other settings.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// Asks about one request. Whoever asks may go away: the call still runs to its end.
    pub(crate) async fn ask(&self, request: &Arc<AuthRequest>) -> Said {
        let start = Instant::now();
        let Called { read, asked, denied } = match self.0.overload.enter(request.client_address) {
            Ok(place) => Detach::new(self.clone().call(Arc::clone(request), place)).await,
            Err(why) => Called::not(why),
        };
        let (ending, verdict) = read;
        let step = Step {
            authenticator: Arc::clone(&self.0.surroundings.authenticator),
            verdict,
            asked,
            denied,
            elapsed: start.elapsed(),
        };
        self.0.meters.asked(&step);
        Said { ending, step }
    }

    async fn call(self, request: Arc<AuthRequest>, place: Place) -> Called {
        let Reply { result, asked, denied } = match self.configured().await {
            Ok(instance) => instance.authenticate(request).await,
            Err(error) => Reply::failure(error),
        };
        let read = match result.and_then(|answered| answer::read(&self, answered)) {
            Ok(read) => {
                place.answered();
                read
            }
            Err(error) => {
                place.failed();
                self.0.meters.failed(&error);
                failed(&error)
            }
        };
        Called { read, asked, denied }
    }

    /// A fresh instance that took its settings.
    async fn configured(&self) -> Result<Instance, PluginError> {
        let mut instance = self.0.component.start(&self.0.surroundings).await?;
        instance
            .configure(&self.0.settings)
            .await?
            .map_err(|why| PluginError::Settings(bounded(&why)))?;
        Ok(instance)
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

/// How a call went, or that there was none.
struct Called {
    read: (Ending, Verdict),
    asked: Vec<Asked>,
    denied: u32,
}

impl Called {
    fn not(why: TurnedAway) -> Self {
        let retry_after = why.retry_after();
        let refusal = match why {
            TurnedAway::Rate(_) => Refusal::TooManyRequests { retry_after },
            TurnedAway::Breaker(_) | TurnedAway::Busy => Refusal::Unavailable {
                retry_after: Some(retry_after),
            },
        };
        let ending = Ending::Done(Outcome::Refuse(refusal));
        Self {
            read: (ending, Verdict::TurnedAway(why.to_string())),
            asked: Vec::new(),
            denied: 0,
        }
    }
}

/// What an [`Authenticator`] is made from.
pub struct AuthenticatorBuilder {
    name: Arc<str>,
    component: Component,
    settings: serde_json::Value,
    grants: Grants,
    limits: Limits,
    outbound: Outbound,
    negotiator: Option<Arc<dyn Negotiator>>,
}

impl AuthenticatorBuilder {
    /// The settings, an object. Default: an empty one.
    #[must_use]
    pub fn settings(mut self, settings: serde_json::Value) -> Self {
        self.settings = settings;
        self
    }

    /// What it may see and reach. Default: the `Authorization` header.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// What its calls may cost.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Limits {
            memory: limits.memory.min(Limits::MAX_MEMORY),
            ..limits
        };
        self
    }

    /// How it asks the servers that it is granted.
    #[must_use]
    pub fn outbound(mut self, outbound: Outbound) -> Self {
        self.outbound = outbound;
        self
    }

    /// What accepts Negotiate tokens under the name that its grants have. Default: nothing does.
    #[must_use]
    pub fn negotiator(mut self, negotiator: Arc<dyn Negotiator>) -> Self {
        self.negotiator = Some(negotiator);
        self
    }

    /// Checks the settings against the plugin's schema, then lets the plugin check them.
    ///
    /// # Errors
    ///
    /// Every mistake that the schema shows, at once; else what the plugin says; else how it failed.
    pub async fn build(self) -> Result<Authenticator, ConfigureError> {
        check(&self.settings, self.component.settings_schema().await?).await?;
        let settings = self.settings.to_string();
        let grants = Arc::new(self.grants);
        let tls = self.component.engine().shared().tls.as_ref();
        let surroundings = Surroundings {
            egress: Egress::new(&self.name, Arc::clone(&grants), self.outbound, tls),
            authenticator: self.name,
            grants,
            limits: self.limits,
            cache: Some(Arc::new(Cache::new(self.limits.cache))),
            negotiator: self.negotiator,
        };
        let mut instance = self.component.start(&surroundings).await?;
        instance.configure(&settings).await?.map_err(ConfigureError::Rejected)?;
        let fingerprint = fingerprint(&self.component, &settings);
        let meters = Meters::new(&surroundings.authenticator);
        let engine_calls = &self.component.engine().shared().calls;
        let overload = Overload::new(&surroundings.authenticator, &self.limits, engine_calls, &meters);
        Ok(Authenticator(Arc::new(Shared {
            component: self.component,
            settings,
            fingerprint,
            surroundings,
            overload: Arc::new(overload),
            meters,
        })))
    }
}

impl std::fmt::Debug for AuthenticatorBuilder {
    /// Leaves out the settings: they may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticatorBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Settings may be guessed from their digest, so this is only ever shown inside a sealed session.
fn fingerprint(component: &Component, settings: &str) -> String {
    let bytes = [component.digest().as_bytes().as_slice(), settings.as_bytes()].concat();
    Digest::of(&bytes).to_string().chars().take(16).collect()
}
