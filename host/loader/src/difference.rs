//! What differs between two configurations, as the log and `portcullis reload` tell it: `+route /x`,
//! `~authenticator hub: settings.service_name`, `-plugin old`. Values aren't told, since they may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use portcullis::Digest;

use crate::config::digests::Digests;

/// One part of a configuration that was added, changed or removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
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

/// The parts of a configuration, by what they are called, such as `route /x`.
pub type Parts = BTreeMap<String, Part>;

/// A part of a configuration, for comparison.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    digests: Digests,
    component: Option<Digest>,
}

impl Part {
    /// A part with these values, and the digest of its component. `None` if it has none, or is disabled.
    pub fn new(digests: Digests, component: Option<Digest>) -> Self {
        Self { digests, component }
    }

    fn changed_keys(&self, other: &Self) -> Vec<String> {
        let component = (self.component != other.component).then(|| "component".to_owned());
        let keys = self.digests.changed_keys(&other.digests).into_iter();
        component.into_iter().chain(keys).collect()
    }
}

/// What differs in `new`, sorted by what the parts are called.
pub fn changes(old: &Parts, new: &Parts) -> Vec<Change> {
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
