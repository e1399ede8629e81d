//! How a component becomes an authenticator: its name, settings, grants and limits, checked before it is ever asked.

use std::sync::Arc;

use super::Authenticator;
use crate::component::Component;
use crate::egress::Outbound;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::negotiate::Negotiator;
use crate::plugin::ConfigureError;
use crate::plugin::PluginConfig;

/// What an [`Authenticator`] is made from.
pub struct AuthenticatorBuilder(PluginConfig);

impl AuthenticatorBuilder {
    pub(super) fn new(name: &str, component: &Component) -> Self {
        Self(PluginConfig {
            name: name.into(),
            component: component.clone(),
            settings: serde_json::Value::Object(serde_json::Map::new()),
            grants: Grants::default(),
            limits: Limits::default(),
            outbound: Outbound::default(),
            negotiator: None,
        })
    }

    /// The settings, an object. Default: an empty one.
    #[must_use]
    pub fn settings(mut self, settings: serde_json::Value) -> Self {
        self.0.settings = settings;
        self
    }

    /// What it may see and reach. Default: the `Authorization` header.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.0.grants = grants;
        self
    }

    /// What its calls may cost.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = Limits {
            memory: limits.memory.min(Limits::MAX_MEMORY),
            ..limits
        };
        self
    }

    /// How it asks the servers that it is granted.
    #[must_use]
    pub fn outbound(mut self, outbound: Outbound) -> Self {
        self.0.outbound = outbound;
        self
    }

    /// What accepts Negotiate tokens under the name that its grants have. Default: nothing does.
    #[must_use]
    pub fn negotiator(mut self, negotiator: Arc<dyn Negotiator>) -> Self {
        self.0.negotiator = Some(negotiator);
        self
    }

    /// Checks the settings against the plugin's schema, then lets the plugin check them.
    ///
    /// # Errors
    ///
    /// Every mistake that the schema shows, at once; else what the plugin says; else how it failed.
    pub async fn build(self) -> Result<Authenticator, ConfigureError> {
        Ok(Authenticator(self.0.configure().await?))
    }
}

impl std::fmt::Debug for AuthenticatorBuilder {
    /// Leaves out the settings: they may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticatorBuilder")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
