//! A plugin in the role of an authenticator: it identifies the user of a request. It is asked about one request at a time.

mod answer;
mod export;

use std::ops::Deref;
use std::sync::Arc;

use crate::component::Component;
use crate::grants::Grants;
use crate::login::Login;
use crate::plugin::CallOutcome;
use crate::plugin::InRole;
use crate::plugin::Plugin;
use crate::plugin::PluginBuilder;
use crate::plugin::sealed::Sealed;
use crate::request::AuthRequest;
use crate::role::Role;

use self::export::Authenticate;

/// A component that is configured to authenticate requests, or a disabled authenticator. A clone is the same authenticator.
#[derive(Clone, Debug)]
pub struct Authenticator(Plugin);

impl Authenticator {
    /// Starts to configure a component. `name` is the operator's name for the authenticator, which appears in logs,
    /// metrics and sessions.
    pub fn builder(name: &str, component: &Component) -> PluginBuilder<Self> {
        PluginBuilder::new(name, component)
    }

    /// An authenticator whose plugin must not run, for this reason: its component isn't the one that the operator wants, for
    /// example. The chain fails where it would ask this authenticator, and the client gets 503, so no weaker check admits a user instead.
    /// Sessions that an authenticator of this name has started aren't accepted. What it was granted counts as credentials
    /// all the same.
    pub fn disabled(name: &str, grants: Grants, why: impl Into<String>) -> Self {
        Self(Plugin::disabled(name, Role::Authenticator, grants, why.into()))
    }

    /// Its login. `None` if its component isn't one, or if it is disabled.
    pub fn login(&self) -> Option<Login> {
        self.configured().and_then(Login::of)
    }

    /// Authenticates one request, by a call or by what an earlier one found out. A call runs to completion even if this
    /// future is dropped.
    pub(crate) async fn ask(&self, request: &Arc<AuthRequest>) -> CallOutcome {
        self.decide(request, Authenticate(Arc::clone(request))).await
    }
}

impl Deref for Authenticator {
    type Target = Plugin;

    fn deref(&self) -> &Plugin {
        &self.0
    }
}

impl InRole for Authenticator {
    const ROLE: Role = Role::Authenticator;
}

impl Sealed for Authenticator {
    fn of(plugin: Plugin) -> Self {
        Self(plugin)
    }
}
