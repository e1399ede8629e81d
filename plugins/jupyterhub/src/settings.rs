//! The settings of the authenticator. Settings that contradict each other are errors.

use std::time::Duration;

use portcullis_sdk::oauth::Client;
use portcullis_sdk::oauth::ClientAuthentication;
use portcullis_sdk::oauth::Provider;
use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::HttpUrl;
use portcullis_sdk::settings::Span;

use crate::login::HubLogin;
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
        /// How people log in with a browser, by the hub's OAuth. Without it, only tokens are accepted.
        pub login: Option<LoginSettings>,
    }
}

settings! {
    /// How people log in at the hub with a browser.
    #[non_exhaustive]
    pub struct LoginSettings {
        /// Where browsers are sent: the hub's address for them, "https://hub.example/hub/api/oauth2/authorize".
        #[schemars(extend("x-portcullis-grant" = "login"))]
        pub authorize_url: HttpUrl,
        /// The client id (JUPYTERHUB_CLIENT_ID). Default: "service-" with `service_name` behind it.
        pub client_id: Option<String>,
        /// The secret of the service: its `api_token` (JUPYTERHUB_API_TOKEN).
        pub client_secret: Secret,
        /// Where browsers are sent after a logout, such as the hub's own: "https://hub.example/hub/logout".
        #[schemars(extend("x-portcullis-grant" = "login"))]
        pub logout_url: Option<HttpUrl>,
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

    /// How people log in. `None` if nobody does with a browser.
    ///
    /// # Errors
    ///
    /// Returns an error if no setting says who we are at the hub.
    pub(crate) fn login(&self) -> Result<Option<HubLogin>, SettingsError> {
        let Some(login) = &self.login else { return Ok(None) };
        let own = self.service_name.as_ref().map(|name| format!("service-{name}"));
        let Some(id) = login.client_id.clone().or(own) else {
            return Err("login.client_id: set it, or service_name, to say who the gateway is at the hub".into());
        };
        if !id.starts_with("service-") {
            return Err("login.client_id: it begins with \"service-\", as the hub names its services".into());
        }
        let client = Client::new(id, login.client_secret.clone());
        Ok(Some(HubLogin {
            provider: Provider::new(login.authorize_url.as_str(), self.api_url.below("oauth2/token")),
            client: client
                .authentication(ClientAuthentication::Post)
                .timeout(self.timeout()?),
            logout_url: login.logout_url.as_ref().map(|url| url.as_str().to_owned()),
        }))
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
