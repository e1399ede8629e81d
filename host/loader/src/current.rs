//! The plugins of a plugin directory that are in use at the moment, for whoever serves requests. They are replaced as a
//! whole, and never by a set without those that are asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use arc_swap::ArcSwap;

use crate::set::PluginSet;

/// The plugins of the moment. Clones share them.
#[derive(Clone, Debug)]
pub struct CurrentPlugins(Arc<Current>);

#[derive(Debug)]
struct Current {
    set: ArcSwap<PluginSet>,
    /// The names of the plugins that are asked. It is locked while the set is replaced.
    required: Mutex<BTreeSet<String>>,
}

impl CurrentPlugins {
    pub(crate) fn new(set: PluginSet) -> Self {
        Self(Arc::new(Current {
            set: ArcSwap::from_pointee(set),
            required: Mutex::default(),
        }))
    }

    /// The set of this moment. Take it once for each request, so that a request is decided by one set.
    pub fn load(&self) -> Arc<PluginSet> {
        self.0.set.load_full()
    }

    /// Says that the plugin of this name is asked about requests. From now on, it is a mistake if the directory doesn't have
    /// it, and then everything stays as it was. Returns whether the directory has it now; if not, nothing is required.
    pub fn require(&self, name: &str) -> bool {
        let mut required = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = self.0.set.load().authenticator(name).is_some();
        if is_there {
            required.insert(name.to_owned());
        }
        is_there
    }

    /// Whether both are of the same [`Plugins`](crate::Plugins).
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Replaces the set, unless required plugins are missing in the next one. The error has their names.
    pub(crate) fn replace(&self, next: &Arc<PluginSet>) -> Result<(), Vec<String>> {
        let required = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = required
            .iter()
            .filter(|name| next.authenticator(name).is_none())
            .cloned();
        let missing = Vec::from_iter(missing);
        if missing.is_empty() {
            self.0.set.store(Arc::clone(next));
            return Ok(());
        }
        Err(missing)
    }
}
