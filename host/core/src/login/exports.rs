//! The functions of a login, as they are called.

use std::future::Future;
use std::sync::Arc;

use wasmtime::Store;

use super::Flow;
use crate::contract::exports::portcullis::auth::login;
use crate::contract::portcullis::auth::types::Refusal;
use crate::request::AuthRequest;
use crate::sandbox::Export;
use crate::sandbox::HostState;
use crate::sandbox::Plugin;

/// A function of a login with its arguments.
pub(super) trait NamedExport: Send + 'static {
    /// Its name.
    const NAME: &'static str;

    type Answer: Send + 'static;

    fn call(
        self,
        login: login::Guest,
        store: &mut Store<HostState>,
    ) -> impl Future<Output = wasmtime::Result<Self::Answer>> + Send;
}

/// Such a function, called for a request with this id.
pub(super) struct ForRequest<X> {
    pub(super) export: X,
    pub(super) id: Option<String>,
}

impl<X: NamedExport> Export for ForRequest<X> {
    type Answer = X::Answer;

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn request(&self) -> Option<Arc<AuthRequest>> {
        None
    }

    async fn call(self, plugin: &Plugin, store: &mut Store<HostState>) -> wasmtime::Result<X::Answer> {
        let login = plugin.login(store)?;
        self.export.call(login, store).await
    }
}

pub(super) struct Begin(pub(super) Flow);

impl NamedExport for Begin {
    const NAME: &'static str = "begin";
    type Answer = Result<login::Departure, Refusal>;

    async fn call(self, login: login::Guest, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        login.call_begin(store, &self.0.into()).await
    }
}

pub(super) struct Finish {
    pub(super) flow: Flow,
    pub(super) memo: Vec<u8>,
    pub(super) parameters: Vec<(String, String)>,
}

impl NamedExport for Finish {
    const NAME: &'static str = "finish";
    type Answer = Result<login::Arrival, Refusal>;

    async fn call(self, login: login::Guest, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        let flow = self.flow.into();
        login.call_finish(store, &flow, &self.memo, &self.parameters).await
    }
}

pub(super) struct Renew(pub(super) Vec<u8>);

impl NamedExport for Renew {
    const NAME: &'static str = "renew";
    type Answer = Result<login::Arrival, Refusal>;

    async fn call(self, login: login::Guest, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        login.call_renew(store, &self.0).await
    }
}

pub(super) struct End {
    pub(super) keep: Option<Vec<u8>>,
    pub(super) return_to: String,
}

impl NamedExport for End {
    const NAME: &'static str = "end";
    type Answer = Option<String>;

    async fn call(self, login: login::Guest, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        login.call_end(store, self.keep.as_deref(), &self.return_to).await
    }
}

pub(super) struct Notice(pub(super) Vec<(String, String)>);

impl NamedExport for Notice {
    const NAME: &'static str = "notice";
    type Answer = Result<Vec<String>, Refusal>;

    async fn call(self, login: login::Guest, store: &mut Store<HostState>) -> wasmtime::Result<Self::Answer> {
        login.call_notice(store, &self.0).await
    }
}

impl From<Flow> for login::Flow {
    fn from(flow: Flow) -> Self {
        Self {
            state: flow.state,
            redirect_uri: flow.redirect_uri,
            silent: flow.silent,
        }
    }
}
