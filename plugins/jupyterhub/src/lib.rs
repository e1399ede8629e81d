//! Authenticates users and services of a JupyterHub by their tokens, and logs users in with a browser. The plugin asks the hub who
//! owns a token, and the token must be meant for the service behind the gateway.

mod cache;
mod hub;
mod identity;
mod lenient;
mod login;
mod scope;
mod settings;

use portcullis_sdk::prelude::*;

use cache::CachedAnswer;
use cache::TokenCache;
use hub::Hub;
use identity::Identity;
use login::HubLogin;

pub use scope::AccessScopes;
pub use settings::LoginSettings;
pub use settings::Settings;

/// The accepted schemes: dask's client sends `jupyterhub`, and JupyterHub itself accepts `token` and `bearer`.
const SCHEMES: [&str; 3] = ["jupyterhub", "token", "bearer"];

/// Accepts tokens that the hub knows and that are meant for this service.
#[derive(Debug)]
pub struct JupyterHub {
    challenge: Challenge,
    hub: Hub,
    cache: TokenCache,
    needed: Option<AccessScopes>,
    /// `None` if nobody logs in with a browser.
    login: Option<HubLogin>,
}

impl Authenticator for JupyterHub {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            challenge: settings.challenge(),
            cache: TokenCache {
                max_age: settings.cache()?,
            },
            needed: settings.needed_scopes()?,
            login: settings.login()?,
            hub: Hub {
                timeout: settings.timeout()?,
                api_url: settings.api_url,
            },
        })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let token = request
            .token(&SCHEMES)
            .map_err(|error| error.refuse(self.challenge.clone()))?;
        let ask = || self.hub.owner_of(&token);
        let answer = self
            .cache
            .answer(&self.hub.api_url, &token, ask)
            .map_err(Refusal::unavailable)?;
        self.decide(answer)
    }
}

impl JupyterHub {
    fn decide(&self, answer: CachedAnswer) -> Result<Grant, Refusal> {
        let remaining = self.cache.remaining(&answer);
        let Some(owner) = answer.owner else {
            return Err(Refusal::unauthenticated(
                "JupyterHub doesn't know the token",
                self.challenge.clone(),
            ));
        };
        Ok(Grant::from(self.user(owner)?).valid_for(remaining))
    }

    /// The user that the owner of a token is here.
    fn user(&self, owner: Identity) -> Result<User, Refusal> {
        if let Some(needed) = self.needed.as_ref().filter(|needed| !owner.has_one_of(needed)) {
            let name = owner.full_name();
            let found = match needed.akin(owner.scopes()).as_slice() {
                [] => "no scope of that name".to_owned(),
                akin => akin.join(", "),
            };
            let reason = format!("the token of {name} lacks the scope {needed}, and has {found}");
            return Err(Refusal::forbidden(reason, None));
        }
        owner
            .into_user()
            .map_err(|reason| Refusal::forbidden(format!("JupyterHub's user can't be accepted: {reason}"), None))
    }
}

portcullis_sdk::export!(JupyterHub, login, grants = { headers = ["authorization"] });

#[cfg(test)]
mod tests;
