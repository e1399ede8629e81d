//! What happens when an operator revokes something: sessions end, and authenticators and authorizers are asked anew.

use portcullis::Plugin;
use portcullis::session::RevocationScope;
use portcullis_loader::config::error::unknown;

use super::Generation;
use crate::admin::Revoked;

impl Generation {
    /// Ends the sessions of a scope that began until now, here and at the other gateways, and lets all plugins forget what they have
    /// decided.
    ///
    /// # Errors
    ///
    /// Returns why there is nothing of this scope.
    pub(crate) fn revoke(&self, scope: &RevocationScope) -> Result<Revoked, String> {
        if let RevocationScope::Authenticator(name) = scope {
            let names = Vec::from_iter(self.everybody.chain().authenticators().iter().map(|own| own.name()));
            if !names.contains(&&**name) {
                return Err(unknown(&format!("authenticator {name:?}"), name, names));
            }
        }
        let list = self.ended.as_ref().map(|ended| ended.list());
        if let (None, RevocationScope::Session(_)) = (&self.sessions, scope) {
            return Err("the gateway has no sessions: [session] is missing".to_owned());
        }
        if let Some(list) = list {
            list.revoke_scope(scope);
        }
        if !matches!(scope, RevocationScope::Session(_)) {
            // Not left to the list, so that the next request is decided anew.
            self.plugins().for_each(Plugin::forget_decisions);
        }
        Ok(Revoked {
            sessions: self.sessions.is_some(),
            peers: self.ending.as_ref().map_or(0, |ending| ending.peers.len()),
            is_shared: self.shared.is_some(),
        })
    }
}
