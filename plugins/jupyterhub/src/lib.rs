//! Users and services of a JupyterHub, known by their tokens. The hub is asked whose a token is; the token must have been
//! made for the service that the gateway stands before.

mod hub;
mod identity;
mod memory;
mod scope;
mod settings;

use portcullis_sdk::prelude::*;

use hub::Hub;
use memory::Answer;
use memory::Memory;

pub use scope::AccessScopes;
pub use settings::Settings;

/// `jupyterhub` is what dask's client says, `token` and `bearer` are what JupyterHub itself takes.
const SCHEMES: [&str; 3] = ["jupyterhub", "token", "bearer"];

/// Lets in who has a token that the hub knows and that is for this service.
#[derive(Debug)]
pub struct JupyterHub {
    challenge: Challenge,
    hub: Hub,
    memory: Memory,
    needed: Option<AccessScopes>,
}

impl Authenticator for JupyterHub {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            challenge: settings.challenge(),
            memory: Memory {
                longest: settings.cache()?,
            },
            needed: settings.needed_scopes()?,
            hub: Hub {
                timeout: settings.timeout()?,
                api_url: settings.api_url,
            },
        })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let token = request
            .token(&SCHEMES)
            .map_err(|none| none.refuse(self.challenge.clone()))?;
        let ask = || self.hub.owner_of(&token);
        let answer = self
            .memory
            .answer(&self.hub.api_url, &token, ask)
            .map_err(Refusal::unavailable)?;
        self.decide(answer)
    }
}

impl JupyterHub {
    fn decide(&self, answer: Answer) -> Result<Grant, Refusal> {
        let remaining = self.memory.remaining(&answer);
        let Some(owner) = answer.owner else {
            return Err(Refusal::unauthenticated(
                "JupyterHub doesn't know the token",
                self.challenge.clone(),
            ));
        };
        if let Some(needed) = self.needed.as_ref().filter(|needed| !owner.has_one_of(needed)) {
            let reason = format!("the token of {} lacks the scope {needed}", owner.full_name());
            return Err(Refusal::forbidden(reason, None));
        }
        let user = owner
            .into_user()
            .map_err(|why| Refusal::forbidden(format!("JupyterHub's user can't be named: {why}"), None))?;
        Ok(Grant::from(user).valid_for(remaining))
    }
}

portcullis_sdk::export!(JupyterHub);

#[cfg(test)]
mod tests;
