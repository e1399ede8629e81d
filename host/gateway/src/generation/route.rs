//! A route with everything that is needed to serve a request: its gate, its upstream and its settings.
//! The upstream's connections are shared with the other routes that use it.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use portcullis::Authorizers;
use portcullis::Chain;
use portcullis::Digest;
use portcullis::Gate;
use portcullis::session::Sessions;
use portcullis_loader::PluginSet;

use crate::assertion::Assertions;
use crate::config::ConfigError;
use crate::config::Digests;
use crate::config::IdentityHeaders;
use crate::config::RouteAccess;
use crate::config::RouteConfig;
use crate::config::Upstream;
use crate::generation::Credentials;
use crate::generation::Logins;
use crate::proxy::UpstreamGroup;
use crate::routing::table::Matcher;

/// A route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The name for logs: the first host, if the route lists hosts, the path, and the methods, if it lists methods.
    pub(crate) name: String,
    /// The same, for plugins.
    pub(crate) shared_name: Arc<str>,
    /// The route's configuration.
    pub(crate) config: RouteConfig,
    /// Who has access.
    pub(crate) access: Access,
    /// Who must permit each request.
    pub(crate) authorizers: Authorizers,
    /// The names of the authenticators that offer browsers a login, in the order of the chain.
    pub(crate) logins: Vec<String>,
    /// Where requests are forwarded. `None` if the route only answers the questions of fronts.
    pub(crate) upstream: Option<Destination>,
    /// The identity headers of a forwarded request. They have no secrets if the route has `authorize_with`, because the
    /// program behind such a route often belongs to a user.
    pub(crate) identity: IdentityHeaders,
    /// Signs the assertions. `None` if no route sends any.
    pub(crate) assertions: Option<Arc<Assertions>>,
    /// The parts of a request that carry the client's credentials.
    pub(crate) credentials: Credentials,
    /// A digest that changes with the configuration of the route or of its upstream.
    pub(crate) digest: Digest,
    /// The users whose large identity was told in the log within the last hour.
    pub(crate) told: LazyLock<moka::sync::Cache<String, ()>>,
}

/// After how long a large identity is told again, and for how many users it is known.
const TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);
const MAX_TOLD: u64 = 1024;

/// Where the requests of a route are forwarded.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// HTTP servers.
    Upstream(Arc<UpstreamGroup>),
    /// The built-in page that shows who the user is.
    WhoAmI,
}

/// Who has access to a route.
#[derive(Debug)]
pub(crate) enum Access {
    /// Users that the gate admits, and requests without credentials.
    Optional(Gate),
    /// Users that the gate admits.
    Protected(Gate),
    /// Every client. No authenticator is asked.
    Public,
}

/// What the routes share whose keys are those of the sessions.
#[derive(Clone, Copy)]
pub(super) struct OfSessions<'a> {
    /// `None` if sessions are disabled.
    pub(super) sessions: Option<&'a Arc<Sessions>>,
    /// `None` if nobody can log in.
    pub(super) logins: Option<&'a Logins>,
    /// `None` if no route sends assertions.
    pub(super) assertions: Option<&'a Arc<Assertions>>,
}

impl Access {
    /// The gate that authenticates requests. `None` for public routes.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Optional(gate) | Self::Protected(gate) => Some(gate),
            Self::Public => None,
        }
    }
}

impl Route {
    /// A digest of the configuration of a route, which stands at this place of the list, and of its upstream.
    pub(super) fn digest(config: &RouteConfig, index: usize, digests: &Digests) -> Digest {
        let mut all = vec![digests.item("routes", index).digest()];
        if let Some(Upstream::Http(upstream)) = &config.upstream {
            all.push(digests.below(&["upstreams", &upstream.name]).digest());
        }
        Digest::of(format!("{all:?}").as_bytes())
    }

    pub(super) fn new(
        config: RouteConfig,
        digest: Digest,
        plugins: &PluginSet,
        of_sessions: OfSessions<'_>,
        upstream: Option<Destination>,
    ) -> Result<Self, ConfigError> {
        let OfSessions {
            sessions,
            logins,
            assertions,
        } = of_sessions;
        let gate = |names: &[String]| {
            let chain = names
                .iter()
                .map(|name| plugins.authenticator(name).cloned())
                .collect::<Option<Vec<_>>>();
            let chain = chain.ok_or_else(|| config.location.error("an authenticator of this route isn't loaded"))?;
            let gate = Gate::new(Chain::new(chain), sessions.cloned());
            Ok(if config.starts_sessions {
                gate
            } else {
                gate.without_new_sessions()
            })
        };
        let access = match &config.access {
            RouteAccess::Optional(names) => Access::Optional(gate(names)?),
            RouteAccess::Protected(names) => Access::Protected(gate(names)?),
            RouteAccess::Public => Access::Public,
        };
        let authorizers = config.authorizers.iter().map(|name| plugins.authorizer(name).cloned());
        let authorizers = authorizers.collect::<Option<Vec<_>>>();
        let authorizers =
            authorizers.ok_or_else(|| config.location.error("an authorizer of this route isn't loaded"))?;
        let names = config.access.authenticators().iter();
        let logins = names.filter(|name| logins.is_some_and(|logins| logins.get(name).is_some()));
        let logins = logins.cloned().collect();
        let asked = access.gate().into_iter().flat_map(|gate| gate.chain().authenticators());
        let name = name(&config.matcher);
        Ok(Self {
            shared_name: name.as_str().into(),
            name,
            digest,
            authorizers: Authorizers::new(authorizers),
            logins,
            credentials: Credentials::of(asked.map(|authenticator| authenticator.grants())),
            upstream,
            assertions: assertions.cloned(),
            identity: match config.authorize {
                Some(_) => config.identity.clone().without_secrets(),
                None => config.identity.clone(),
            },
            // Few routes have such users, and an empty cache has some 40 KiB.
            told: LazyLock::new(|| {
                moka::sync::Cache::builder()
                    .max_capacity(MAX_TOLD)
                    .time_to_live(TOLD_AGAIN)
                    .build()
            }),
            access,
            config,
        })
    }
}

fn name(matcher: &Matcher) -> String {
    let host = matcher.hosts.first().map(ToString::to_string).unwrap_or_default();
    let methods = match matcher.methods.are_all() {
        true => String::new(),
        false => format!(" ({})", matcher.methods),
    };
    format!("{host}{}{methods}", matcher.path)
}
