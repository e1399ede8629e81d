//! The logins that browsers are offered, and what they share: the origins that browsers use, the cookies of attempts, and the
//! pages.

use std::collections::BTreeMap;
use std::time::Duration;

use http::uri::Scheme;
use portcullis::Login;
use portcullis::session::Flows;
use portcullis_loader::PluginSet;

use crate::config::ConfigError;
use crate::config::LoginConfig;
use crate::config::Origin;
use crate::config::PluginConfig;

/// After how long a request to log in at another origin is told again, and of how many origins it is known.
const TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);
const MAX_TOLD: u64 = 64;

/// The logins of a configuration.
#[derive(Debug)]
pub(crate) struct Logins {
    config: LoginConfig,
    flows: Flows,
    offered: BTreeMap<String, LoginPoint>,
    /// The origins of which the log said within the last hour that nobody can log in there.
    told: moka::sync::Cache<String, ()>,
}

/// A login that browsers are offered.
#[derive(Clone, Debug)]
pub(crate) struct LoginPoint {
    /// The name of its authenticator.
    pub(crate) name: String,
    /// What people read where they choose.
    pub(crate) title: String,
    /// The login. `None` if its authenticator is disabled.
    pub(crate) login: Option<Login>,
}

impl Logins {
    /// The logins of these authenticators.
    pub(super) fn new(
        config: LoginConfig,
        flows: Flows,
        configured: &[PluginConfig],
        authenticators: &PluginSet,
    ) -> Result<Self, ConfigError> {
        let mut offered = BTreeMap::new();
        for own in configured {
            let (Some(offer), Some(authenticator)) = (&own.login, authenticators.authenticator(&own.name)) else {
                continue;
            };
            let login = authenticator.login();
            if login.is_none() && authenticator.why_disabled().is_none() {
                return Err(own.error(
                    "login = true, but the component is no login: `portcullis plugin inspect` shows its roles",
                ));
            }
            let point = LoginPoint {
                name: own.name.clone(),
                title: offer.title.clone(),
                login,
            };
            offered.insert(own.name.clone(), point);
        }
        Ok(Self {
            config,
            flows,
            offered,
            told: moka::sync::Cache::builder()
                .max_capacity(MAX_TOLD)
                .time_to_live(TOLD_AGAIN)
                .build(),
        })
    }

    /// The settings.
    pub(crate) fn config(&self) -> &LoginConfig {
        &self.config
    }

    /// The cookies of attempts.
    pub(crate) fn flows(&self) -> &Flows {
        &self.flows
    }

    /// The login of an authenticator. `None` if it offers none.
    pub(crate) fn get(&self, name: &str) -> Option<&LoginPoint> {
        self.offered.get(name)
    }

    /// All logins, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &LoginPoint> {
        self.offered.values()
    }

    /// The origin of a request, if people can log in there. Another one is told in the log: it is the client that names it.
    pub(crate) fn origin(&self, scheme: &Scheme, authority: Option<&str>) -> Option<&Origin> {
        let asked = authority.and_then(|authority| Origin::of(scheme, authority));
        let known = self.config.origins.iter().find(|known| Some(*known) == asked.as_ref());
        if let (None, Some(asked)) = (known, asked)
            && self.told.entry_by_ref(asked.as_str()).or_insert(()).is_fresh()
        {
            tracing::warn!(
                origin = %asked,
                "nobody can log in at this origin: if browsers use it, add it to login.origins; behind a proxy, check \
                 server.trusted_proxies"
            );
        }
        known
    }
}
