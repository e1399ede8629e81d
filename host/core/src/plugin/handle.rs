//! A configured plugin as applications have it, whatever its role is; or one that is disabled.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Asked;
use super::ConfigurationWarning;
use super::ConfiguredPlugin;
use super::ask::CallOutcome;
use super::ask::Decides;
use super::ask::outcome;
use super::disabled::Disabled;
use crate::component::Component;
use crate::grants::AskedGrant;
use crate::grants::Grants;
use crate::grants::UnaskedGrant;
use crate::limits::KeepInstances;
use crate::limits::Limits;
use crate::request::AuthRequest;
use crate::role::PluginName;
use crate::role::Role;

/// A component that is configured to be asked about requests, or a disabled plugin. A clone is the same plugin.
///
/// An [`Authenticator`](crate::Authenticator) and an [`Authorizer`](crate::Authorizer) are plugins in a role.
#[derive(Clone)]
pub struct Plugin(Kind);

#[derive(Clone)]
enum Kind {
    Configured(ConfiguredPlugin),
    Disabled(Arc<Disabled>),
}

impl Plugin {
    pub(super) fn configured_as(plugin: ConfiguredPlugin) -> Self {
        Self(Kind::Configured(plugin))
    }

    /// A plugin that must not run, for this reason.
    pub(crate) fn disabled(name: &str, role: Role, grants: Grants, why: String) -> Self {
        let name = PluginName::new(name, role);
        Self(Kind::Disabled(Arc::new(Disabled::new(name, grants, why))))
    }

    /// The name that the operator gave it.
    pub fn name(&self) -> &str {
        self.plugin_name()
    }

    /// The role in which it is asked: that of an authenticator, which may also be a login, or that of an authorizer.
    pub fn role(&self) -> Role {
        self.plugin_name().role()
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

    /// Forgets the decisions and the instances that are kept for later requests. Use it when something outside of the plugin has
    /// changed, such as a user who was locked out.
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

    /// Whether both are the same plugin, and not only of the same configuration.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Configured(own), Kind::Configured(other)) => own.is(other),
            (Kind::Disabled(own), Kind::Disabled(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Call this when another plugin has replaced this one. Requests that have it already may still ask it, but the place among
    /// [`EngineBuilder::concurrency`](crate::EngineBuilder::concurrency) that was kept for it is free for others.
    pub fn retire(&self) {
        if let Some(plugin) = self.configured() {
            plugin.retire();
        }
    }

    /// Asks it about a request by this function of its role, or takes what an earlier call found out. A call runs to completion
    /// even if this future is dropped.
    pub(crate) async fn decide<X: Decides>(&self, request: &Arc<AuthRequest>, export: X) -> CallOutcome {
        let (outcome, meters) = match &self.0 {
            Kind::Configured(plugin) => (plugin.decide(request, export).await, plugin.meters()),
            Kind::Disabled(disabled) => {
                let ruling = disabled.ruling();
                (outcome(&disabled.name, Instant::now(), ruling), &disabled.meters)
            }
        };
        meters.record(&outcome.step);
        outcome
    }

    /// The configured plugin. `None` if it is disabled.
    pub(crate) fn configured(&self) -> Option<&ConfiguredPlugin> {
        match &self.0 {
            Kind::Configured(plugin) => Some(plugin),
            Kind::Disabled(_) => None,
        }
    }

    fn plugin_name(&self) -> &PluginName {
        match &self.0 {
            Kind::Configured(plugin) => plugin.name(),
            Kind::Disabled(disabled) => &disabled.name,
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name())
            .field("role", &self.role())
            .field("component", &self.component())
            .field("disabled", &self.why_disabled())
            .finish_non_exhaustive()
    }
}
