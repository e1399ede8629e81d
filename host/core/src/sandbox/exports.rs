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
use crate::role::Role;

/// A function of one of a plugin's roles, with the arguments of one call.
pub(crate) trait Export: Send + 'static {
    /// What it returns.
    type Answer: Send + 'static;

    /// The id of the request that the call is made for, for the log.
    fn id(&self) -> Option<&str>;

    /// The request that the plugin may read meanwhile. `None` if the function has no handle to one.
    fn request(&self) -> Option<Arc<AuthRequest>>;

    /// Whether its arguments tell the plugin something about the request, so that it knows about it without reading it.
    fn tells(&self) -> bool {
        self.request().is_none()
    }

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
    roles: RoleIndices,
}

/// The places of the functions of each role. `None` for a role that the component hasn't.
#[derive(Clone)]
struct RoleIndices {
    authenticator: Option<auth::authenticator::GuestIndices>,
    authorizer: Option<auth::authorizer::GuestIndices>,
    login: Option<auth::login::GuestIndices>,
}

impl PluginPre {
    /// Finds the exports. Returns an error if an interface lacks a function.
    pub(crate) fn new(instance: InstancePre<HostState>, roles: &[Role]) -> wasmtime::Result<Self> {
        let has = |role| roles.contains(&role);
        let authenticator = has(Role::Authenticator).then(|| auth::authenticator::GuestIndices::new(&instance));
        let authorizer = has(Role::Authorizer).then(|| auth::authorizer::GuestIndices::new(&instance));
        let login = has(Role::Login).then(|| auth::login::GuestIndices::new(&instance));
        Ok(Self {
            plugin: auth::plugin::GuestIndices::new(&instance)?,
            roles: RoleIndices {
                authenticator: authenticator.transpose()?,
                authorizer: authorizer.transpose()?,
                login: login.transpose()?,
            },
            instance,
        })
    }

    /// Starts an instance in this store.
    pub(super) async fn start(&self, store: &mut Store<HostState>) -> wasmtime::Result<Plugin> {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        Ok(Plugin {
            plugin: self.plugin.load(&mut *store, &instance)?,
            roles: self.roles.clone(),
            instance,
        })
    }
}

/// The exports of an instance. The functions of a role are looked up when they are called.
pub(crate) struct Plugin {
    instance: Instance,
    plugin: auth::plugin::Guest,
    roles: RoleIndices,
}

impl Plugin {
    /// The functions by which it is configured.
    pub(super) const fn plugin(&self) -> &auth::plugin::Guest {
        &self.plugin
    }

    /// The function of an authenticator.
    pub(crate) fn authenticator(&self, store: &mut Store<HostState>) -> wasmtime::Result<auth::authenticator::Guest> {
        match &self.roles.authenticator {
            Some(authenticator) => authenticator.load(store, &self.instance),
            None => Err(not_exported(Role::Authenticator)),
        }
    }

    /// The function of an authorizer.
    pub(crate) fn authorizer(&self, store: &mut Store<HostState>) -> wasmtime::Result<auth::authorizer::Guest> {
        match &self.roles.authorizer {
            Some(authorizer) => authorizer.load(store, &self.instance),
            None => Err(not_exported(Role::Authorizer)),
        }
    }

    /// The functions of a login.
    pub(crate) fn login(&self, store: &mut Store<HostState>) -> wasmtime::Result<auth::login::Guest> {
        match &self.roles.login {
            Some(login) => login.load(store, &self.instance),
            None => Err(not_exported(Role::Login)),
        }
    }
}

fn not_exported(role: Role) -> wasmtime::Error {
    wasmtime::format_err!("the component doesn't export portcullis:auth/{role}")
}
