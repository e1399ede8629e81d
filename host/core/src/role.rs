//! What plugins are for, and the operator's name for one together with the role in which it is asked: logs and metrics have
//! both.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What a plugin is for. Each role is an interface of the contract that a component exports.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// It says who sent a request.
    Authenticator,
    /// It says whether a user may make a request.
    Authorizer,
    /// It logs people in with a browser.
    Login,
}

impl Role {
    /// All roles.
    pub(crate) const ALL: [Self; 3] = [Self::Authenticator, Self::Authorizer, Self::Login];

    /// The name of the interface.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Authenticator => "authenticator",
            Self::Authorizer => "authorizer",
            Self::Login => "login",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// The operator's name for a plugin, and the role in which it is asked about requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PluginName {
    name: Arc<str>,
    role: Role,
}

impl PluginName {
    pub(crate) fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
        }
    }

    /// The name alone.
    pub(crate) const fn shared(&self) -> &Arc<str> {
        &self.name
    }

    /// The role.
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    /// The value of the log field `authenticator`. `None` if it isn't one.
    pub(crate) fn authenticator(&self) -> Option<&str> {
        (self.role != Role::Authorizer).then_some(&*self.name)
    }

    /// The value of the log field `authorizer`. `None` if it isn't one.
    pub(crate) fn authorizer(&self) -> Option<&str> {
        (self.role == Role::Authorizer).then_some(&*self.name)
    }

    /// The name of a metric of its role.
    pub(crate) fn metric(&self, names: MetricNames) -> &'static str {
        match self.role {
            Role::Authorizer => names.authorizer,
            Role::Authenticator | Role::Login => names.authenticator,
        }
    }
}

/// The names of a metric that plugins of both roles have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricNames {
    authenticator: &'static str,
    authorizer: &'static str,
}

impl MetricNames {
    /// Both names in full, so that they can be searched for.
    pub(crate) const fn new(authenticator: &'static str, authorizer: &'static str) -> Self {
        Self {
            authenticator,
            authorizer,
        }
    }
}

impl Deref for PluginName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
impl From<&str> for PluginName {
    fn from(name: &str) -> Self {
        Self::new(name, Role::Authenticator)
    }
}
