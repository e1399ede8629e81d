//! What the operator sets, and what of it goes together.

use std::time::Duration;

use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::HttpUrl;
use portcullis_sdk::settings::Span;

use crate::scope::AccessScopes;

/// JupyterHub's own services keep a user no longer, and so do we: a token that was revoked is refused after this.
const LONGEST_CACHE: Duration = Duration::from_secs(300);

settings! {
    /// What the authenticator `jupyterhub` is set up with.
    #[non_exhaustive]
    pub struct Settings {
        /// The hub's API, as the gateway reaches it: "http://127.0.0.1:8081/hub/api" (JUPYTERHUB_API_URL).
        pub api_url: HttpUrl,
        /// The name under which the hub knows the service behind the gateway (JUPYTERHUB_SERVICE_NAME): a token needs
        /// the scope "access:services!service=NAME".
        pub service_name: Option<String>,
        /// Scopes of which a token needs one, in place of the one for `service_name`: a list, or a string that holds a
        /// JSON list (JUPYTERHUB_OAUTH_ACCESS_SCOPES).
        pub access_scopes: Option<AccessScopes>,
        /// Lets in every user and service of the hub, whatever their token is for.
        #[serde(default)]
        pub allow_any_token: bool,
        /// How long the hub's answer about a token is reused, at most 5 minutes: seconds, or a number with a unit. 0
        /// asks the hub for every request.
        #[serde(default = "longest_cache")]
        pub cache: Span,
        /// How long the hub may take to answer. Keep it below the deadline of the authenticator.
        #[serde(default = "four_seconds")]
        pub timeout: Span,
        /// The realm that the challenge names. Without it the challenge is the bare scheme.
        pub realm: Option<String>,
    }
}

impl Settings {
    /// The scopes of which a token needs one; none if any token will do.
    ///
    /// # Errors
    ///
    /// When it isn't said which tokens are let in, or two settings say different things.
    pub(crate) fn needed_scopes(&self) -> Result<Option<AccessScopes>, SettingsError> {
        let needed = match (&self.access_scopes, self.service_name.as_deref()) {
            (_, Some("")) => return Err("service_name: it must not be empty".into()),
            (Some(scopes), _) => Some(scopes.clone()),
            (None, Some(name)) => Some(AccessScopes::of_service(name)),
            (None, None) => None,
        };
        match (&needed, self.allow_any_token) {
            (Some(_), true) => {
                Err("allow_any_token: it contradicts service_name and access_scopes; leave one out".into())
            }
            (None, false) => Err(
                "service_name: set it, or access_scopes, to say which tokens are let in. Without them \
                every token of the hub would do, also one that was made for something else; if that is meant, set \
                allow_any_token = true"
                    .into(),
            ),
            _ => Ok(needed),
        }
    }

    /// How long an answer is reused.
    ///
    /// # Errors
    ///
    /// When that is longer than 5 minutes.
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
    /// When it may take no time at all.
    pub(crate) fn timeout(&self) -> Result<Duration, SettingsError> {
        let timeout = self.timeout.duration();
        if timeout.is_zero() {
            return Err("timeout: it must be longer than 0".into());
        }
        Ok(timeout)
    }

    /// The challenge that stands for all schemes.
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
