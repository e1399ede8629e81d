//! A route with its gate: what a server needs to answer one request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::session::Sessions;

use crate::config::AuthorizeWith;
use crate::config::ConfigError;
use crate::config::Cookies;
use crate::config::IdentityHeaders;
use crate::config::RouteAccess;
use crate::config::RouteConfig;
use crate::config::Upstream;
use crate::generation::Credentials;
use crate::routing::exceptions::UpstreamCredentials;

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// How logs call it: its path, after its first host if it names one.
    pub(crate) name: String,
    /// Who may pass.
    pub(crate) access: Access,
    /// Where its requests go; none: it only answers fronts that ask about requests of their own.
    pub(crate) upstream: Option<Upstream>,
    /// What the upstream learns about the user.
    pub(crate) identity: IdentityHeaders,
    /// Whether cookies pass between client and upstream.
    pub(crate) cookies: Cookies,
    /// Whether the client's credentials reach the upstream.
    pub(crate) forward_authorization: bool,
    /// Where they stand in a request.
    pub(crate) credentials: Credentials,
    /// Whether a slash in the path may be encoded, where both of its readings lead here.
    pub(crate) allow_encoded_slash: bool,
    /// What the upstream is asked about a user before a request goes on; none: nothing.
    pub(crate) authorize: Option<AuthorizeWith>,
    /// What the upstream learns about the user when it is asked, and by which secrets it knows who asks.
    pub(crate) identity_of_checks: IdentityHeaders,
    /// Requests whose credentials the upstream verifies itself.
    pub(crate) upstream_credentials: UpstreamCredentials,
    /// How long the upstream may take to begin its response.
    pub(crate) timeout: Duration,
    /// Most bytes of a request's body; none: as many as it likes.
    pub(crate) max_body_size: Option<u64>,
}

/// Who may pass.
#[derive(Debug)]
pub(crate) enum Access {
    /// Whoever the gate admits, and anonymous requests that carry no credentials.
    Optional(Gate),
    /// Whoever the gate admits.
    Protected(Gate),
    /// Everybody; nobody is asked.
    Public,
}

impl Access {
    /// What guards the route; none: nobody is asked.
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
            access,
            upstream: config.upstream,
            // What is behind such a route may be the users' own: a secret that it saw would make it anybody.
            identity: match config.authorize {
                Some(_) => config.identity.without_secrets(),
                None => config.identity.clone(),
            },
            identity_of_checks: config.identity,
            cookies: config.cookies,
            forward_authorization: config.forward_authorization,
            allow_encoded_slash: config.allow_encoded_slash,
            authorize: config.authorize,
            upstream_credentials: config.upstream_credentials,
            timeout: config.timeout,
            max_body_size: config.max_body_size,
        })
    }
}
