//! A plugin in the role of an authorizer: it says whether a user may make a request. It is asked about one request at a time.

mod answer;
mod export;

use std::ops::Deref;
use std::sync::Arc;

use crate::component::Component;
use crate::decision::Authenticated;
use crate::grants::Grants;
use crate::plugin::CallOutcome;
use crate::plugin::InRole;
use crate::plugin::Plugin;
use crate::plugin::PluginBuilder;
use crate::plugin::sealed::Sealed;
use crate::request::AuthRequest;
use crate::role::Role;

use self::export::Authorize;

/// A component that is configured to authorize requests, or a disabled authorizer. A clone is the same authorizer.
#[derive(Clone, Debug)]
pub struct Authorizer(Plugin);

impl Authorizer {
    /// Starts to configure a component. `name` is the operator's name for the authorizer, which appears in logs and metrics.
    pub fn builder(name: &str, component: &Component) -> PluginBuilder<Self> {
        PluginBuilder::new(name, component)
    }

    /// An authorizer whose plugin must not run, for this reason: its component isn't the one that the operator wants, for
    /// example. Where it would be asked, the client gets 503.
    pub fn disabled(name: &str, grants: Grants, why: impl Into<String>) -> Self {
        Self(Plugin::disabled(name, Role::Authorizer, grants, why.into()))
    }

    /// Asks about one request of this user, or of nobody, by a call or by what an earlier one found out. A call runs to completion
    /// even if this future is dropped.
    pub(crate) async fn ask(&self, request: &Arc<AuthRequest>, user: Option<&Authenticated>) -> CallOutcome {
        let export = Authorize {
            request: Arc::clone(request),
            user: user.cloned(),
        };
        self.decide(request, export).await
    }
}

impl Deref for Authorizer {
    type Target = Plugin;

    fn deref(&self) -> &Plugin {
        &self.0
    }
}

impl InRole for Authorizer {
    const ROLE: Role = Role::Authorizer;
}

impl Sealed for Authorizer {
    fn of(plugin: Plugin) -> Self {
        Self(plugin)
    }
}
