//! What lives on in the next generation: what has the same configuration in both. An authenticator keeps its connections,
//! its breaker and its decisions, an upstream its connections and health, an acceptor its helpers.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis::Component;
use portcullis::Digest;

use crate::config::AuthenticatorConfig;
use crate::config::Digests;
use crate::config::RotatingHeader;
use crate::generation::Generation;
use crate::generation::authenticators::LoadedAuthenticator;
use crate::kerberos::Acceptor;
use crate::proxy::UpstreamGroup;

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

    /// The authenticator of this name, if neither its configuration nor its component nor its acceptor has changed.
    pub(super) fn authenticator(
        &self,
        config: &AuthenticatorConfig,
        component: &Component,
    ) -> Option<&'a LoadedAuthenticator> {
        let generation = self.same(&["authenticators", &config.name])?;
        let known = generation.authenticators.get(&config.name)?;
        // The same text names other files if it stands in another folder now.
        let files = config.rotating.iter().map(RotatingHeader::file);
        let has_same_files = known.rotating.iter().map(RotatingHeader::file).eq(files);
        let is_same_acceptor = match &known.authenticator.grants().negotiate {
            Some(acceptor) => self.same(&["negotiate", acceptor]).is_some(),
            None => true,
        };
        let is_same = is_same_acceptor
            && has_same_files
            && known.authenticator.component().map(Component::digest) == Some(component.digest());
        is_same.then_some(known)
    }

    /// Whether an authenticator of this name may be disabled: at the start, or if it is disabled already. One that works isn't
    /// replaced by one that is disabled, because then a bad file would do more harm than none.
    pub(super) fn allows_disabling(&self, name: &str) -> bool {
        let Some(generation) = self.generation else { return true };
        let known = generation.authenticators.get(name);
        known.is_some_and(|known| known.authenticator.why_disabled().is_some())
    }

    /// The components of the generation before.
    pub(super) fn components(&self) -> HashMap<Digest, &'a Component> {
        let authenticators = self.generation.into_iter().flat_map(Generation::authenticators);
        let components = authenticators.filter_map(|authenticator| authenticator.component());
        components.map(|component| (*component.digest(), component)).collect()
    }

    /// The acceptor of this name, if its configuration hasn't changed.
    pub(super) fn acceptor(&self, name: &str) -> Option<Acceptor> {
        self.same(&["negotiate", name])?.acceptors.get(name).cloned()
    }

    /// The upstream of this name, if its configuration hasn't changed.
    pub(super) fn upstream(&self, name: &str) -> Option<Arc<UpstreamGroup>> {
        self.same(&["upstreams", name])?.upstreams.get(name).cloned()
    }

    /// The generation before, if it has the same values below this key.
    fn same(&self, key: &[&str]) -> Option<&'a Generation> {
        self.generation
            .filter(|generation| generation.digests.below(key) == self.next.below(key))
    }
}
