//! The function of an authenticator, as it is called.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::Resource;

use super::answer;
use crate::contract::RequestHandle;
use crate::contract::portcullis::auth::types::Grant;
use crate::contract::portcullis::auth::types::Refusal;
use crate::decision::Authenticated;
use crate::decision::Ruling;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::Decides;
use crate::request::AuthRequest;
use crate::sandbox::Export;
use crate::sandbox::HostState;
use crate::sandbox::Plugin;
use crate::sandbox::PluginError;

/// The question who sent a request.
pub(super) struct Authenticate(pub(super) Arc<AuthRequest>);

impl Export for Authenticate {
    type Answer = Result<Grant, Refusal>;

    fn id(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    fn request(&self) -> Option<Arc<AuthRequest>> {
        Some(Arc::clone(&self.0))
    }

    async fn call(self, plugin: &Plugin, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        let handle: Resource<RequestHandle> = Resource::new_borrow(0);
        let authenticator = plugin.authenticator(store)?;
        authenticator.call_authenticate(store, handle).await
    }
}

impl Decides for Authenticate {
    fn user(&self) -> Option<&Authenticated> {
        None
    }

    fn read(plugin: &ConfiguredPlugin, answered: Self::Answer) -> Result<Ruling, PluginError> {
        answer::read(plugin, answered)
    }

    fn reusable_for(ruling: &Ruling, drew_random: bool) -> Option<Duration> {
        answer::reusable_for(ruling, drew_random)
    }
}
