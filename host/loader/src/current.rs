//! The plugins of a plugin directory that are in use at the moment, for whoever serves requests. They are replaced as a
//! whole, and never by a set without those that are asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use arc_swap::ArcSwap;
use portcullis::Role;

use crate::set::PluginSet;

/// The plugins of the moment. Clones share them.
#[derive(Clone, Debug)]
pub struct CurrentPlugins(Arc<Current>);

#[derive(Debug)]
struct Current {
    set: ArcSwap<PluginSet>,
    /// The plugins that are asked, each in this role. It is locked while the set is replaced.
    required: Mutex<BTreeMap<String, Role>>,
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
    /// it in the role that it has now, and then everything stays as it was. Returns that role. `None` if the directory doesn't
    /// have the plugin; then nothing is required.
    pub fn require(&self, name: &str) -> Option<Role> {
        let mut required = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let role = self.0.set.load().get(name)?.plugin.role();
        required.insert(name.to_owned(), role);
        Some(role)
    }

    /// Whether both are of the same [`Plugins`](crate::Plugins).
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Replaces the set, unless required plugins are missing in the next one. The error has their names and roles.
    pub(crate) fn replace(&self, next: &Arc<PluginSet>) -> Result<(), Vec<(String, Role)>> {
        let required = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |name: &str, role| next.get(name).is_some_and(|loaded| loaded.plugin.role() == role);
        let missing = required.iter().filter(|(name, role)| !has(name, **role));
        let missing = Vec::from_iter(missing.map(|(name, role)| (name.clone(), *role)));
        if missing.is_empty() {
            self.0.set.store(Arc::clone(next));
            return Ok(());
        }
        Err(missing)
    }
}
