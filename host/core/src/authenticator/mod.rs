//! A configured plugin: a component with a name, settings, grants and limits. It is asked about one request at a time,
//! each in a fresh instance, and whatever the plugin does ends as a verdict.

mod answer;
mod error;
mod settings;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use self::answer::Said;
use self::error::bounded;
use self::settings::check;
use crate::AuthRequest;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Step;
use crate::decision::Verdict;
use crate::detach::Detach;
use crate::egress::Egress;
use crate::engine::Component;
use crate::engine::Digest;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::sandbox::Cache;
use crate::sandbox::Instance;
use crate::sandbox::Reply;
use crate::sandbox::Surroundings;

pub(crate) use self::answer::Ending;
pub use self::error::PluginError;
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
    calls: Arc<Semaphore>,
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
        let Reply { result, asked } = match self.permits() {
            Some(permits) => Detach::new(self.clone().call(Arc::clone(request), permits)).await,
            None => Reply::failure(PluginError::Busy),
        };
        let (ending, verdict) = result
            .and_then(|answered| answer::read(self, answered))
            .unwrap_or_else(|error| fail(&error));
        let authenticator = Arc::clone(&self.0.surroundings.authenticator);
        Said {
            ending,
            step: Step {
                authenticator,
                verdict,
                asked,
                elapsed: start.elapsed(),
            },
        }
    }

    async fn call(self, request: Arc<AuthRequest>, _permits: [OwnedSemaphorePermit; 2]) -> Reply {
        match self.configured().await {
            Ok(instance) => instance.authenticate(request).await,
            Err(error) => Reply::failure(error),
        }
    }

    /// A fresh instance that took its settings.
    async fn configured(&self) -> Result<Instance, PluginError> {
        let mut instance = Instance::start(&self.0.component, &self.0.surroundings).await?;
        instance
            .configure(&self.0.settings)
            .await?
            .map_err(|why| PluginError::Settings(bounded(&why)))?;
        Ok(instance)
    }

    /// A place among the authenticator's calls and among the engine's, or none at once: a queue would only grow.
    fn permits(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = Arc::clone(&self.0.calls).try_acquire_owned().ok()?;
        let engine = &self.0.component.engine().shared().calls;
        Some([own, Arc::clone(engine).try_acquire_owned().ok()?])
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

fn fail(error: &PluginError) -> (Ending, Verdict) {
    let retry_after = error.retry_after();
    let outcome = Outcome::Refuse(Refusal::Unavailable { retry_after });
    (Ending::Done(outcome), Verdict::Fail(error.to_string()))
}

/// What an [`Authenticator`] is made from.
pub struct AuthenticatorBuilder {
    name: Arc<str>,
    component: Component,
    settings: serde_json::Value,
    grants: Grants,
    limits: Limits,
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
            authenticator: self.name,
            egress: Egress::new(Arc::clone(&grants), tls),
            grants,
            limits: self.limits,
            cache: Some(Arc::new(Cache::new(self.limits.cache))),
        };
        let mut instance = Instance::start(&self.component, &surroundings).await?;
        instance.configure(&settings).await?.map_err(ConfigureError::Rejected)?;
        let fingerprint = fingerprint(&self.component, &settings);
        let calls = Arc::new(Semaphore::new(self.limits.concurrency.min(Semaphore::MAX_PERMITS)));
        Ok(Authenticator(Arc::new(Shared {
            component: self.component,
            settings,
            fingerprint,
            surroundings,
            calls,
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
