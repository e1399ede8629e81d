//! What a component exports: the functions by which it is configured, and those of its roles. They are found once, when the
//! component is loaded.

use std::future::Future;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime::component::InstancePre;

use super::HostState;
use crate::contract::exports::portcullis::auth;
use crate::request::AuthRequest;

/// A function of one of a plugin's roles, with the arguments of one call.
pub(crate) trait Export: Send + 'static {
    /// What it returns.
    type Answer: Send + 'static;

    /// The id of the request that the call is made for, for the log.
    fn id(&self) -> Option<&str>;

    /// The request that the plugin may read meanwhile. `None` if the function has no handle to one.
    fn request(&self) -> Option<Arc<AuthRequest>>;

    /// Calls the function.
    fn call(
        self,
        plugin: &Plugin,
        store: &mut Store<HostState>,
    ) -> impl Future<Output = wasmtime::Result<Self::Answer>> + Send;
}

/// A component that is linked, and the places of its exports.
#[derive(Clone)]
pub(crate) struct PluginPre {
    instance: InstancePre<HostState>,
    plugin: auth::plugin::GuestIndices,
    authenticator: auth::authenticator::GuestIndices,
    /// `None` if the component isn't a login.
    login: Option<auth::login::GuestIndices>,
}

impl PluginPre {
    /// Finds the exports. Returns an error if an interface lacks a function.
    pub(crate) fn new(instance: InstancePre<HostState>, is_login: bool) -> wasmtime::Result<Self> {
        Ok(Self {
            plugin: auth::plugin::GuestIndices::new(&instance)?,
            authenticator: auth::authenticator::GuestIndices::new(&instance)?,
            login: is_login
                .then(|| auth::login::GuestIndices::new(&instance))
                .transpose()?,
            instance,
        })
    }

    /// Starts an instance in this store.
    pub(super) async fn start(&self, store: &mut Store<HostState>) -> wasmtime::Result<Plugin> {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        Ok(Plugin {
            plugin: self.plugin.load(&mut *store, &instance)?,
            authenticator: self.authenticator.load(&mut *store, &instance)?,
            login: self.login.clone(),
            instance,
        })
    }
}

/// The exports of an instance.
pub(crate) struct Plugin {
    instance: Instance,
    plugin: auth::plugin::Guest,
    authenticator: auth::authenticator::Guest,
    login: Option<auth::login::GuestIndices>,
}

impl Plugin {
    /// The functions by which it is configured.
    pub(super) const fn plugin(&self) -> &auth::plugin::Guest {
        &self.plugin
    }

    /// The function of an authenticator.
    pub(crate) const fn authenticator(&self) -> &auth::authenticator::Guest {
        &self.authenticator
    }

    /// The functions of a login. They are looked up when they are needed, since nearly all calls are those of an authenticator.
    pub(crate) fn login(&self, store: &mut Store<HostState>) -> wasmtime::Result<auth::login::Guest> {
        match &self.login {
            Some(login) => login.load(store, &self.instance),
            None => wasmtime::bail!("the component doesn't export portcullis:auth/login"),
        }
    }
}
