//! A configured component: a component with settings, grants and limits. Calls are guarded by a rate limit, a circuit
//! breaker and a limit on concurrency, and each call runs in a new instance, unless instances are kept.

mod answer;
mod ask;
mod builder;
mod call;
mod detach;
mod disabled;
mod handle;
mod kept;
mod meters;
mod overload;
mod settings;
mod snapshot;

use std::sync::Arc;

use self::kept::Kept;
use self::overload::Overload;
use self::settings::check;
use self::snapshot::ConfiguredCopy;
use crate::component::Component;
use crate::component::Digest;
use crate::egress::Egress;
use crate::egress::Outbound;
use crate::grants::Grants;
use crate::limits::KeepInstances;
use crate::limits::Limits;
use crate::negotiate::Negotiator;
use crate::reuse::Reuse;
use crate::role::PluginName;
use crate::role::Role;
use crate::sandbox::Cache;
use crate::sandbox::InstanceConfig;
use crate::signing::SigningKeys;

pub use self::detach::poll_without_plugins;

pub(crate) use self::answer::challenge;
pub(crate) use self::ask::CallOutcome;
pub(crate) use self::ask::Decides;
pub use self::builder::InRole;
pub use self::builder::PluginBuilder;
pub(crate) use self::builder::sealed;
pub(crate) use self::call::Call;
pub use self::handle::Plugin;
pub(crate) use self::meters::Meters;
pub(crate) use self::overload::Sender;
pub(crate) use self::overload::TurnedAway;
pub(crate) use self::settings::Asked;
pub use self::settings::ConfigurationWarning;
pub use self::settings::ConfigureError;
pub use self::settings::SettingsError;
pub use self::settings::check_settings_schema;

/// A configured component. A clone is the same plugin.
#[derive(Clone)]
pub(crate) struct ConfiguredPlugin(Arc<Inner>);

struct Inner {
    component: Component,
    settings: String,
    fingerprint: Arc<str>,
    config: InstanceConfig,
    copy: ConfiguredCopy,
    /// `None` if each call has an instance of its own.
    kept: Option<Arc<Kept>>,
    overload: Arc<Overload>,
    reuse: Option<Arc<Reuse>>,
    meters: Meters,
    asked: Asked,
}

impl ConfiguredPlugin {
    /// The operator's name for it.
    pub(crate) fn name(&self) -> &PluginName {
        &self.0.config.name
    }

    /// The component.
    pub(crate) fn component(&self) -> &Component {
        &self.0.component
    }

    /// What it may read and reach.
    pub(crate) fn grants(&self) -> &Grants {
        &self.0.config.grants
    }

    /// The same, to be kept by a call.
    pub(crate) fn shared_grants(&self) -> &Arc<Grants> {
        &self.0.config.grants
    }

    /// The bounds on its calls.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.config.limits
    }

    /// What it asks for, compared with its grants and limits.
    pub(crate) fn asked(&self) -> &Asked {
        &self.0.asked
    }

    /// A short text that changes with the component and the settings.
    pub(crate) fn fingerprint(&self) -> &Arc<str> {
        &self.0.fingerprint
    }

    /// Its decisions for later requests. `None` if it is called about every request.
    pub(crate) fn reuse(&self) -> Option<&Arc<Reuse>> {
        self.0.reuse.as_ref()
    }

    /// Whether both are clones of one plugin.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Which instances it keeps for later calls. `None` if each call has one of its own.
    pub(crate) fn kept_instances(&self) -> Option<&KeepInstances> {
        self.0.kept.as_deref().map(Kept::rules)
    }

    /// Forgets what it knows from earlier calls: their decisions and instances.
    pub(crate) fn forget(&self) {
        if let Some(reuse) = &self.0.reuse {
            reuse.forget();
        }
        if let Some(kept) = &self.0.kept {
            kept.forget();
        }
    }

    /// Gives up the place among the engine's calls that is kept for it, and its instances.
    pub(crate) fn retire(&self) {
        self.0.overload.retire();
        if let Some(kept) = &self.0.kept {
            kept.retire();
        }
    }

    /// Its metrics.
    pub(crate) fn meters(&self) -> &Meters {
        &self.0.meters
    }
}

/// The inputs of a [`ConfiguredPlugin`].
pub(crate) struct PluginConfig {
    pub(crate) name: PluginName,
    pub(crate) component: Component,
    pub(crate) settings: serde_json::Value,
    pub(crate) grants: Grants,
    /// Whether the servers that the settings name are granted, too.
    pub(crate) grants_servers_of_settings: bool,
    pub(crate) limits: Limits,
    pub(crate) keep_instances: Option<KeepInstances>,
    pub(crate) outbound: Outbound,
    pub(crate) negotiator: Option<Arc<dyn Negotiator>>,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) log_level: Option<tracing::Level>,
    /// Whether its calls keep the place in which it is configured, instead of one among all calls.
    pub(crate) is_trial: bool,
}

impl PluginConfig {
    /// A component with this name for this role, and nothing else: no settings, and the grants and limits that are the default.
    pub(crate) fn new(name: &str, role: Role, component: &Component) -> Self {
        Self {
            name: PluginName::new(name, role),
            component: component.clone(),
            settings: serde_json::Value::Object(serde_json::Map::new()),
            grants: Grants::of_role(role),
            grants_servers_of_settings: false,
            limits: Limits::default(),
            keep_instances: None,
            outbound: Outbound::default(),
            negotiator: None,
            signing_keys: SigningKeys::default(),
            log_level: None,
            is_trial: false,
        }
    }

    /// Checks the settings against the plugin's schema, then lets the plugin check them.
    pub(crate) async fn configure(mut self) -> Result<ConfiguredPlugin, ConfigureError> {
        if !self.component.roles().contains(&self.name.role()) {
            return Err(ConfigureError::Role(self.name.role()));
        }
        let engine = Arc::clone(self.component.engine().shared());
        // Calls of other plugins may run, so this has instances of its own. The semaphore is never closed.
        let place = Arc::clone(&engine.configuring).acquire_owned().await.ok();
        let schema = self.component.settings_schema_under(&self.limits).await?;
        let asked = check(
            &self.settings,
            &schema,
            self.component.manifest(),
            self.grants_servers_of_settings,
            &mut self.grants,
            &self.limits,
        )?;
        let settings = self.settings.to_string();
        let fingerprint = fingerprint(&self.component, &settings);
        let namespace = format!("{} {} {fingerprint}", self.name.role(), &*self.name);
        let shared = &engine.runtime.shared;
        let cache = Cache::new(self.limits.cache, shared.clone(), &namespace);
        let grants = Arc::new(self.grants);
        let config = InstanceConfig {
            egress: Egress::new(
                &self.name,
                Arc::clone(&grants),
                self.outbound,
                engine.tls.as_ref(),
                engine.proxy.as_ref(),
            ),
            name: self.name,
            grants,
            limits: self.limits,
            cache: Some(Arc::new(cache)),
            log_level: self.log_level,
            processors: engine.runtime.scheduler.share(),
            negotiator: self.negotiator,
            signing_keys: Arc::new(self.signing_keys),
        };
        let mut instance = self.component.start(&config).await?;
        instance.configure(&settings).await?.map_err(ConfigureError::Rejected)?;
        let meters = Meters::new(&config.name);
        let (name, grants, limits) = (&config.name, &*config.grants, &config.limits);
        let processors = &config.processors;
        let overload = match self.is_trial {
            false => Overload::new(name, grants, limits, processors, &engine.calls, &meters),
            true => Overload::with_place(name, grants, limits, processors, &engine.configuring, place, &meters),
        };
        let kept = self.keep_instances.map(|rules| {
            Arc::new(Kept::new(
                config.name.clone(),
                rules,
                &engine.kept_instances,
                &engine.kept_memory,
            ))
        });
        let reuse = Reuse::new(
            &engine.decisions,
            &config.grants,
            config.limits.reuse_decisions,
            config.limits.deadline,
        );
        Ok(ConfiguredPlugin(Arc::new(Inner {
            settings,
            fingerprint,
            config,
            copy: ConfiguredCopy::default(),
            kept,
            overload: Arc::new(overload.sharing_rates(shared, &namespace)),
            reuse,
            meters,
            asked,
            component: self.component,
        })))
    }
}

/// Weak secrets in the settings could be guessed from their digest, so it is stored in sealed sessions only.
fn fingerprint(component: &Component, settings: &str) -> Arc<str> {
    let bytes = [component.digest().as_bytes().as_slice(), settings.as_bytes()].concat();
    Digest::of(&bytes)
        .to_string()
        .chars()
        .take(16)
        .collect::<String>()
        .into()
}
