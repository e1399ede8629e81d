//! A route with its gate and its upstream: what a server needs to answer one request.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::session::Sessions;

use crate::config::ConfigError;
use crate::config::IdentityHeaders;
use crate::config::RouteAccess;
use crate::config::RouteConfig;
use crate::config::Upstream;
use crate::generation::Credentials;
use crate::proxy::Proxy;
use crate::proxy::UpstreamGroup;

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// How logs call it: its path, after its first host if it names one.
    pub(crate) name: String,
    /// What the configuration says of it.
    pub(crate) config: RouteConfig,
    /// Who may pass.
    pub(crate) access: Access,
    /// Where its requests go. `None` if it only answers fronts that ask about requests of their own.
    pub(crate) upstream: Option<Destination>,
    /// What the upstream learns about the user of a request: without secrets where `authorize_with` asks first, since what
    /// is behind such a route may be the users' own programs.
    pub(crate) identity: IdentityHeaders,
    /// Where the client's credentials stand in a request.
    pub(crate) credentials: Credentials,
}

/// Where the requests of a route go.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// To HTTP servers.
    Upstream(Arc<UpstreamGroup>),
    /// To the built-in page that shows who you are.
    WhoAmI,
}

/// Who may pass.
#[derive(Debug)]
pub(crate) enum Access {
    /// Users whom the gate admits, and anonymous requests that carry no credentials.
    Optional(Gate),
    /// Users whom the gate admits.
    Protected(Gate),
    /// Everybody. No authenticator is asked.
    Public,
}

impl Access {
    /// What guards the route. `None` for public routes.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Optional(gate) | Self::Protected(gate) => Some(gate),
            Self::Public => None,
        }
    }
}

impl Route {
    pub(super) fn new(
        config: RouteConfig,
        authenticators: &HashMap<String, Authenticator>,
        sessions: Option<&Arc<Sessions>>,
        proxy: &Proxy,
    ) -> Result<Self, ConfigError> {
        let gate = |names: &[String]| {
            let chain = names
                .iter()
                .map(|name| authenticators.get(name).cloned())
                .collect::<Option<Vec<_>>>();
            let chain = chain.ok_or_else(|| config.location.error("one of its authenticators isn't loaded"))?;
            Ok(Gate::new(Chain::new(chain), sessions.cloned()))
        };
        let access = match &config.access {
            RouteAccess::Optional(names) => Access::Optional(gate(names)?),
            RouteAccess::Protected(names) => Access::Protected(gate(names)?),
            RouteAccess::Public => Access::Public,
        };
        let asked = access.gate().into_iter().flat_map(|gate| gate.chain().authenticators());
        Ok(Self {
            name: format!("{}{}", config.hosts.first().map_or("", String::as_str), config.path),
            credentials: Credentials::of(asked.map(Authenticator::grants)),
            upstream: config.upstream.as_ref().map(|upstream| match upstream {
                Upstream::Http(config) => Destination::Upstream(proxy.upstream(config)),
                Upstream::WhoAmI => Destination::WhoAmI,
            }),
            identity: match config.authorize {
                Some(_) => config.identity.without_secrets(),
                None => config.identity.clone(),
            },
            access,
            config,
        })
    }
}
