//! What differs between two generations, as the log and `portcullis reload` tell it: in authenticators, authorizers, routes, named sections
//! such as upstreams, and everything else.

use portcullis_loader::Change;
use portcullis_loader::difference::Part;
use portcullis_loader::difference::Parts;
use portcullis_loader::difference::changes;

use crate::config::Digests;
use crate::generation::Generation;

impl Generation {
    /// What differs from the generation before, sorted by section and name.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<Change> {
        changes(&before.parts(), &self.parts())
    }

    /// The keys that differ from those with which the process started, and that only a start can apply.
    pub(crate) fn waiting_for_restart(&self, start: &Digests) -> Vec<String> {
        let differs = |key: &&[&str]| self.digests.below(key) != start.below(key);
        FIXED.into_iter().filter(differs).map(|key| key.join(".")).collect()
    }

    fn parts(&self) -> Parts {
        let mut parts = self.plugins.parts();
        let part = |digests| Part::new(digests, None);
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
        let is_listed = |section: &&str| ["authenticators", "authorizers", "routes"].contains(section);
        let is_named = |section: &&str| NAMED.iter().any(|(named, _)| named == section);
        for section in self.digests.names() {
            if !is_listed(&section) && !is_named(&section) {
                parts.insert(section.to_owned(), part(self.digests.below(&[section])));
            }
        }
        parts
    }
}

/// Sections with names below them, and what such an entry is called.
const NAMED: [(&str, &str); 3] = [
    ("negotiate", "acceptor"),
    ("registries", "registry"),
    ("upstreams", "upstream"),
];

/// What only a start can apply: the engine of the plugins is made once, metrics are registered before the plugins, and
/// what is in the state folder is read once.
pub(super) const FIXED: [&[&str]; 8] = [
    &["admin"],
    &["plugins", "cache_directory"],
    &["plugins", "concurrency"],
    &["plugins", "http_proxy"],
    &["plugins", "memory"],
    &["plugins", "no_proxy"],
    &["state"],
    &["telemetry"],
];
