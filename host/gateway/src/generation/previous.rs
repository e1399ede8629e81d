//! What lives on in the next generation: what has the same configuration in both. An upstream keeps its connections and
//! health, an acceptor its helpers. Of the authenticators, `portcullis_loader` decides.

use std::sync::Arc;

use portcullis::session::Sessions;
use portcullis_loader::PluginSet;

use crate::config::Digests;
use crate::generation::Generation;
use crate::kerberos::Acceptor;
use crate::proxy::UpstreamGroup;
use crate::sessions::EndedSessions;
use crate::shared_state::Shared;

/// The generation before, and what the next one is made of.
#[derive(Clone, Copy)]
pub(super) struct Previous<'a> {
    /// `None` for the first generation.
    generation: Option<&'a Generation>,
    /// The configuration of the next generation.
    next: &'a Digests,
}

impl<'a> Previous<'a> {
    pub(super) fn new(generation: Option<&'a Generation>, next: &'a Digests) -> Self {
        Self { generation, next }
    }

    /// The configuration of the next generation.
    pub(super) fn next(&self) -> &'a Digests {
        self.next
    }

    /// The authenticators and authorizers of the generation before.
    pub(super) fn plugins(&self) -> Option<&'a PluginSet> {
        self.generation.map(|generation| &generation.plugins)
    }

    /// The acceptor of this name, if its configuration hasn't changed.
    pub(super) fn acceptor(&self, name: &str) -> Option<Acceptor> {
        self.same(&["negotiate", name])?.acceptors.get(name).cloned()
    }

    /// The upstream of this name, if its configuration hasn't changed.
    pub(super) fn upstream(&self, name: &str) -> Option<Arc<UpstreamGroup>> {
        self.same(&["upstreams", name])?.upstreams.get(name).cloned()
    }

    /// The sessions that are over, of which a process has one list.
    pub(super) fn ended_sessions(&self) -> Option<Arc<EndedSessions>> {
        self.generation?.ended.clone()
    }

    /// What is shared with other gateways, if its configuration hasn't changed.
    pub(super) fn shared(&self) -> Option<Arc<Shared>> {
        self.same(&["shared_state"])?.shared.clone()
    }

    /// The sessions, whose renewals may run.
    pub(super) fn sessions(&self) -> Option<&'a Sessions> {
        self.generation?.sessions.as_deref()
    }

    /// The generation before, if it has the same values below this key.
    fn same(&self, key: &[&str]) -> Option<&'a Generation> {
        self.generation
            .filter(|generation| generation.digests.below(key) == self.next.below(key))
    }
}
