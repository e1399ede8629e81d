//! What the status page says of the configuration in use. The gateway fills it in, so this listener doesn't depend on the
//! configuration itself.

use super::refusals::Refused;

/// Tells what is in use.
pub(crate) trait Shows: Send + Sync {
    /// What is in use now.
    fn facts(&self) -> Facts;

    /// The last requests that were refused, the newest first.
    fn refusals(&self) -> Vec<Refused>;
}

/// The configuration in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// In the order of the configuration.
    pub(crate) routes: Vec<RouteFacts>,
    /// Sorted by name.
    pub(crate) plugins: Vec<PluginFacts>,
    /// What is allowed but may not be meant, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// A route.
#[derive(Clone, Debug)]
pub(crate) struct RouteFacts {
    /// The name for logs and metrics.
    pub(crate) name: String,
    /// `protected`, `optional` or `public`.
    pub(crate) access: &'static str,
    /// The authenticators and then the authorizers, in the order in which they are asked.
    pub(crate) plugins: Vec<String>,
    /// Where its requests go.
    pub(crate) upstream: String,
}

/// An authenticator or an authorizer.
#[derive(Clone, Debug)]
pub(crate) struct PluginFacts {
    /// `authenticator` or `authorizer`, which is also the label of its metrics.
    pub(crate) role: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// The digest of its component. `None` if it is disabled.
    pub(crate) digest: Option<String>,
    /// Why it is disabled. `None` if it isn't.
    pub(crate) disabled: Option<String>,
    /// What it may read and reach, and the bounds on its calls: a name and its value.
    pub(crate) terms: Vec<(&'static str, String)>,
}
