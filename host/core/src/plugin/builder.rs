//! Configures a component for a role: its name, settings, grants and limits. The settings are checked before the first request.

use std::marker::PhantomData;
use std::sync::Arc;

use super::ConfigureError;
use super::Plugin;
use super::PluginConfig;
use crate::component::Component;
use crate::egress::Outbound;
use crate::grants::Grants;
use crate::limits::KeepInstances;
use crate::limits::Limits;
use crate::negotiate::Negotiator;
use crate::role::Role;
use crate::signing::SigningKey;

/// A plugin in one of the roles in which it is asked about requests: an [`Authenticator`](crate::Authenticator) or an
/// [`Authorizer`](crate::Authorizer).
pub trait InRole: sealed::Sealed {
    /// The role.
    const ROLE: Role;
}

pub(crate) mod sealed {
    use super::Plugin;

    pub trait Sealed {
        /// The plugin, which was configured for the role, in it.
        fn of(plugin: Plugin) -> Self;
    }
}

/// Builds a plugin in a role.
pub struct PluginBuilder<R>(PluginConfig, PhantomData<fn() -> R>);

impl<R: InRole> PluginBuilder<R> {
    /// Starts to configure a component. `name` is the operator's name for the plugin, which appears in logs and metrics.
    pub fn new(name: &str, component: &Component) -> Self {
        Self(PluginConfig::new(name, R::ROLE, component), PhantomData)
    }

    /// The settings, a JSON object. Default: an empty object.
    #[must_use]
    pub fn settings(mut self, settings: serde_json::Value) -> Self {
        self.0.settings = settings;
        self
    }

    /// What it may read and reach. Default: the `Authorization` header for an authenticator, and nothing for an authorizer.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.0.grants = grants;
        self
    }

    /// Grants it the servers that its settings name for its requests, as its schema says: scheme, host and port of each URL. Default:
    /// only [`Grants::http`] counts, and what is missing there is a warning.
    ///
    /// This is for a component that is trusted as the application is. The schema of any other could call a setting a server that
    /// the operator takes for something else.
    #[must_use]
    pub fn grant_servers_of_settings(mut self) -> Self {
        self.0.grants_servers_of_settings = true;
        self
    }

    /// The bounds on its calls. [`Limits::memory`] is reduced to [`Limits::MAX_MEMORY`]. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = Limits {
            memory: limits.memory.min(Limits::MAX_MEMORY),
            ..limits
        };
        self
    }

    /// Keeps instances after their calls, for later requests, which then share the plugin's memory. Default: each request has
    /// an instance of its own.
    #[must_use]
    pub fn keep_instances(mut self, rules: KeepInstances) -> Self {
        self.0.keep_instances = Some(rules);
        self
    }

    /// How its requests to other servers are sent. Default: [`Outbound::default`].
    #[must_use]
    pub fn outbound(mut self, outbound: Outbound) -> Self {
        self.0.outbound = outbound;
        self
    }

    /// The acceptor of Negotiate tokens for the name in [`Grants::negotiate`]. Default: none.
    #[must_use]
    pub fn negotiator(mut self, negotiator: Arc<dyn Negotiator>) -> Self {
        self.0.negotiator = Some(negotiator);
        self
    }

    /// A key that it may sign with, for a name in [`Grants::signing`]. Default: none.
    #[must_use]
    pub fn signing_key(mut self, name: &str, key: SigningKey) -> Self {
        self.0.signing_keys.insert(name, key);
        self
    }

    /// The least severe level of the plugin's log lines that are written. Those below INFO are written at INFO, with the
    /// field `plugin_level`, so that they appear although the application leaves out its own. Default: the application's
    /// subscriber decides.
    #[must_use]
    pub fn log_level(mut self, level: tracing::Level) -> Self {
        self.0.log_level = Some(level);
        self
    }

    /// Checks the settings, first against the plugin's schema and then by the plugin itself.
    ///
    /// # Errors
    ///
    /// Returns an error if the component isn't for this role, all mistakes that the schema shows, or else the plugin's message
    /// about its settings, or how the plugin failed.
    pub async fn build(self) -> Result<R, ConfigureError> {
        Ok(R::of(Plugin::configured_as(self.0.configure().await?)))
    }

    /// Builds a plugin that is asked about a few requests before another one of the same component is used. Its calls
    /// take no place among [`EngineBuilder::concurrency`](crate::EngineBuilder::concurrency), so they aren't turned away
    /// however many calls of others run. Ask it about one request at a time, and drop it soon: it keeps one of the few places
    /// in which plugins are configured.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build).
    pub async fn build_for_trial(mut self) -> Result<R, ConfigureError> {
        self.0.is_trial = true;
        self.build().await
    }
}

impl<R> std::fmt::Debug for PluginBuilder<R> {
    /// Omits the settings, because they may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginBuilder")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
