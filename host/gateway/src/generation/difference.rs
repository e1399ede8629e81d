//! What differs between two generations, as the log and `portcullis reload` tell it: `+route /x`,
//! `~authenticator hub: settings.service_name`, `-plugin old`. Values aren't told, since they may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use portcullis::Digest;

use crate::config::Digests;
use crate::generation::Generation;

/// One part of a configuration that was added, changed or removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    part: String,
    kind: ChangeKind,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum ChangeKind {
    Added,
    /// The keys whose values differ.
    Changed(Vec<String>),
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = &self.part;
        match &self.kind {
            ChangeKind::Added => write!(f, "+{part}"),
            ChangeKind::Changed(keys) if keys.is_empty() => write!(f, "~{part}"),
            ChangeKind::Changed(keys) => write!(f, "~{part}: {}", keys.join(", ")),
            ChangeKind::Removed => write!(f, "-{part}"),
        }
    }
}

impl Generation {
    /// What differs from the generation before, sorted by section and name.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<Change> {
        let (old, new) = (before.parts(), self.parts());
        let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
        let mut names = Vec::from_iter(names);
        names.sort();
        let change = |name: &&String| {
            let kind = match (old.get(*name), new.get(*name)) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Removed,
                (Some(old), Some(new)) if old == new => return None,
                (Some(old), Some(new)) => ChangeKind::Changed(new.changed_keys(old)),
            };
            let part = (*name).clone();
            Some(Change { part, kind })
        };
        names.iter().filter_map(change).collect()
    }

    /// The keys that differ from those with which the process started, and that only a start can apply.
    pub(crate) fn waiting_for_restart(&self, start: &Digests) -> Vec<String> {
        let differs = |key: &&[&str]| self.digests.below(key) != start.below(key);
        FIXED.into_iter().filter(differs).map(|key| key.join(".")).collect()
    }

    fn parts(&self) -> BTreeMap<String, Part> {
        let mut parts = BTreeMap::new();
        let part = |digests| Part {
            digests,
            component: None,
        };
        for (name, loaded) in &self.authenticators {
            let kind = if loaded.is_dropped_in {
                "plugin"
            } else {
                "authenticator"
            };
            let loaded = Part {
                digests: self.digests.below(&["authenticators", name]),
                component: loaded.authenticator.component().map(|component| *component.digest()),
            };
            parts.insert(format!("{kind} {name}"), loaded);
        }
        for (index, route) in self.routes.iter().enumerate() {
            // Routes that differ in what their names leave out are told apart by their order.
            let mut name = format!("route {}", route.name);
            while parts.contains_key(&name) {
                name.push('\'');
            }
            parts.insert(name, part(self.digests.item("routes", index)));
        }
        for (section, kind) in NAMED {
            let entries = self.digests.below(&[section]);
            for name in entries.names() {
                parts.insert(format!("{kind} {name}"), part(entries.below(&[name])));
            }
        }
        let is_listed = |section: &&str| ["authenticators", "routes"].contains(section);
        let is_named = |section: &&str| NAMED.iter().any(|(named, _)| named == section);
        for section in self.digests.names() {
            if !is_listed(&section) && !is_named(&section) {
                parts.insert(section.to_owned(), part(self.digests.below(&[section])));
            }
        }
        parts
    }
}

/// A part of a configuration, for comparison.
#[derive(Eq, PartialEq)]
struct Part {
    digests: Digests,
    /// The digest of the component. `None` if the part has none, or is disabled.
    component: Option<Digest>,
}

impl Part {
    fn changed_keys(&self, other: &Self) -> Vec<String> {
        let component = (self.component != other.component).then(|| "component".to_owned());
        let keys = self.digests.changed_keys(&other.digests).into_iter();
        component.into_iter().chain(keys).collect()
    }
}

/// Sections with names below them, and what such an entry is called.
const NAMED: [(&str, &str); 3] = [
    ("negotiate", "acceptor"),
    ("registries", "registry"),
    ("upstreams", "upstream"),
];

/// What only a start can apply: the engine of the plugins is made once, and metrics are registered before the plugins.
const FIXED: [&[&str]; 6] = [
    &["admin"],
    &["plugins", "cache_directory"],
    &["plugins", "concurrency"],
    &["plugins", "http_proxy"],
    &["plugins", "memory"],
    &["plugins", "no_proxy"],
];
