//! The function of an authenticator, as it is called.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::Resource;

use crate::contract::RequestHandle;
use crate::contract::portcullis::auth::types::Grant;
use crate::contract::portcullis::auth::types::Refusal;
use crate::request::AuthRequest;
use crate::sandbox::Export;
use crate::sandbox::HostState;
use crate::sandbox::Plugin;

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
        plugin.authenticator().call_authenticate(store, handle).await
    }
}
