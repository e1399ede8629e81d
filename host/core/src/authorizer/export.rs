//! The function of an authorizer, as it is called.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::Resource;

use super::answer;
use crate::contract::RequestHandle;
use crate::contract::exports::portcullis::auth::authorizer::Denial;
use crate::contract::exports::portcullis::auth::authorizer::Permit;
use crate::contract::exports::portcullis::auth::authorizer::Principal;
use crate::contract::portcullis::auth::types::User;
use crate::decision::Authenticated;
use crate::decision::Ruling;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::Decides;
use crate::request::AuthRequest;
use crate::sandbox::Export;
use crate::sandbox::HostState;
use crate::sandbox::Plugin;
use crate::sandbox::PluginError;

/// The question whether a request may be made.
pub(super) struct Authorize {
    pub(super) request: Arc<AuthRequest>,
    /// `None` if nobody has sent it as a user.
    pub(super) user: Option<Authenticated>,
}

impl Export for Authorize {
    type Answer = Result<Permit, Denial>;

    fn id(&self) -> Option<&str> {
        self.request.id.as_deref()
    }

    fn request(&self) -> Option<Arc<AuthRequest>> {
        Some(Arc::clone(&self.request))
    }

    fn tells(&self) -> bool {
        true
    }

    async fn call(self, plugin: &Plugin, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        let handle: Resource<RequestHandle> = Resource::new_borrow(0);
        let principal = self.user.as_ref().map(principal);
        let authorizer = plugin.authorizer(store)?;
        authorizer.call_authorize(store, handle, principal.as_ref()).await
    }
}

impl Decides for Authorize {
    fn user(&self) -> Option<&Authenticated> {
        self.user.as_ref()
    }

    fn read(plugin: &ConfiguredPlugin, answered: Self::Answer) -> Result<Ruling, PluginError> {
        answer::read(plugin, answered)
    }

    fn reusable_for(ruling: &Ruling, drew_random: bool) -> Option<Duration> {
        answer::reusable_for(ruling, drew_random)
    }
}

/// All that an authorizer is told of the user. Whatever is in it must be in the key under which its decision is reused
/// (`reuse/key.rs`).
fn principal(user: &Authenticated) -> Principal {
    let identity = user.identity();
    Principal {
        user: User {
            name: identity.name().to_owned(),
            groups: identity.groups().to_vec(),
            admin: identity.admin(),
            attributes: identity
                .attributes()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        },
        authenticator: user.authenticator().to_owned(),
    }
}
