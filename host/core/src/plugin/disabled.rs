//! A plugin that must not run. Every request about which it is asked fails, so nothing goes on there, as when a plugin fails.

use crate::decision::Ruling;
use crate::grants::Grants;
use crate::plugin::Meters;
use crate::plugin::ask::failed;
use crate::role::PluginName;

/// What a disabled plugin consists of.
pub(super) struct Disabled {
    pub(super) name: PluginName,
    /// What it might have read. For an authenticator these are still credentials, which no upstream gets.
    pub(super) grants: Grants,
    pub(super) why: String,
    pub(super) meters: Meters,
}

impl Disabled {
    pub(super) fn new(name: PluginName, grants: Grants, why: String) -> Self {
        Self {
            meters: Meters::new(&name),
            name,
            grants,
            why,
        }
    }

    /// The ruling about every request.
    pub(super) fn ruling(&self) -> Ruling {
        failed(&self.name, format!("it is disabled: {}", self.why))
    }
}
