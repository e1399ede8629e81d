//! The settings of the authenticator. Settings that contradict each other are errors.

use std::time::Duration;

use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::HttpUrl;
use portcullis_sdk::settings::Span;

use crate::scope::AccessScopes;

/// The longest time for which answers are cached, as in JupyterHub's own services. A revoked token is refused after
/// this time at the latest.
const LONGEST_CACHE: Duration = Duration::from_secs(300);

settings! {
    /// The settings of the authenticator `jupyterhub`.
    #[non_exhaustive]
    pub struct Settings {
        /// The URL of the hub's API, as the gateway reaches it: "http://127.0.0.1:8081/hub/api" (JUPYTERHUB_API_URL).
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub api_url: HttpUrl,
        /// The name of the service behind the gateway, as the hub knows it (JUPYTERHUB_SERVICE_NAME). A token needs the
        /// scope "access:services!service=NAME".
        pub service_name: Option<String>,
        /// Scopes of which a token needs at least one, instead of the one for `service_name`: a list, or a string that
        /// contains a JSON list (JUPYTERHUB_OAUTH_ACCESS_SCOPES).
        pub access_scopes: Option<AccessScopes>,
        /// Accepts the tokens of every user and service of the hub, whatever they are meant for.
        #[serde(default)]
        pub allow_any_token: bool,
        /// How long the hub's answer about a token is cached, at most 5 minutes: seconds, or a number with a unit. With
        /// 0, the hub is asked for every request.
        #[serde(default = "longest_cache")]
        pub cache: Span,
        /// How long the hub may take to answer. Keep this below the deadline of the authenticator.
        #[serde(default = "four_seconds")]
        #[schemars(extend("x-portcullis-requests" = 1))]
        pub timeout: Span,
        /// The realm in the challenge. Without it, the challenge is only the scheme.
        pub realm: Option<String>,
    }
}

impl Settings {
    /// The scopes of which a token needs at least one, or `None` if any token is accepted.
    ///
    /// # Errors
    ///
    /// Returns an error if no setting says which tokens are accepted, or if two settings contradict each other.
    pub(crate) fn needed_scopes(&self) -> Result<Option<AccessScopes>, SettingsError> {
        let needed = match (&self.access_scopes, self.service_name.as_deref()) {
            (_, Some("")) => return Err("service_name: it must not be empty".into()),
            (Some(scopes), _) => Some(scopes.clone()),
            (None, Some(name)) => Some(AccessScopes::of_service(name)),
            (None, None) => None,
        };
        match (&needed, self.allow_any_token) {
            (Some(_), true) => {
                Err("allow_any_token: it contradicts service_name and access_scopes; remove one of them".into())
            }
            (None, false) => Err(
                "service_name: set it, or access_scopes, to say which tokens are accepted. Without them every token of \
                the hub would be accepted, even one for another service; to allow that, set allow_any_token = true"
                    .into(),
            ),
            _ => Ok(needed),
        }
    }

    /// How long an answer is cached.
    ///
    /// # Errors
    ///
    /// Returns an error if that is longer than 5 minutes.
    pub(crate) fn cache(&self) -> Result<Duration, SettingsError> {
        let cache = self.cache.duration();
        if cache > LONGEST_CACHE {
            return Err("cache: at most 5 minutes, so that a revoked token is refused soon".into());
        }
        Ok(cache)
    }

    /// How long the hub may take.
    ///
    /// # Errors
    ///
    /// Returns an error if that is zero.
    pub(crate) fn timeout(&self) -> Result<Duration, SettingsError> {
        let timeout = self.timeout.duration();
        if timeout.is_zero() {
            return Err("timeout: it must be longer than 0".into());
        }
        Ok(timeout)
    }

    /// The challenge, which is the same for all schemes.
    pub(crate) fn challenge(&self) -> Challenge {
        let challenge = Challenge::new("jupyterhub");
        match &self.realm {
            Some(realm) => challenge.with("realm", realm),
            None => challenge,
        }
    }
}

const fn longest_cache() -> Span {
    Span::seconds(LONGEST_CACHE.as_secs())
}

const fn four_seconds() -> Span {
    Span::seconds(4)
}
