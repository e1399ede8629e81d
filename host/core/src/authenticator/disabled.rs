//! An authenticator that must not run its plugin. Every request about which it is asked fails, so a chain ends there as it
//! does when a plugin fails.

use std::sync::Arc;

use crate::decision::Ruling;
use crate::grants::Grants;
use crate::plugin::Meters;

/// What an authenticator without a plugin consists of.
pub(super) struct Disabled {
    pub(super) name: Arc<str>,
    /// What its plugin might have read: still credentials, which no upstream gets.
    pub(super) grants: Grants,
    pub(super) why: String,
    pub(super) meters: Meters,
}

impl Disabled {
    pub(super) fn new(name: &str, grants: Grants, why: String) -> Self {
        Self {
            name: name.into(),
            grants,
            why,
            meters: Meters::new(name),
        }
    }

    /// The ruling about every request.
    pub(super) fn ruling(&self) -> Ruling {
        super::failed(format!("it is disabled: {}", self.why))
    }
}
