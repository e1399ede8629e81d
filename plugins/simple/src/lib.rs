//! Accepts Basic credentials with any user name, and with one shared password or none. There is no list of users:
//! anyone who has the password can use any name.

use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::Span;

settings! {
    /// The settings of the authenticator `simple`.
    #[non_exhaustive]
    pub struct Settings {
        /// The password that all users share. Without it, any password is accepted.
        pub password: Option<Secret>,
        /// The realm, which browsers show when they ask for the credentials.
        #[serde(default = "portcullis")]
        pub realm: String,
        /// How long the gateway may reuse a decision, for example in a session cookie: seconds, or a number with a unit
        /// such as "12h". With 0, every request needs the credentials.
        #[serde(default = "five_minutes")]
        pub valid_for: Span,
    }
}

/// Accepts everyone who sends Basic credentials (RFC 7617) with the shared password.
#[derive(Debug)]
pub struct Simple {
    settings: Settings,
}

impl Authenticator for Simple {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        if settings.realm.chars().any(char::is_control) {
            return Err("realm: it must not have control characters".into());
        }
        Ok(Self { settings })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let credentials = request.basic().map_err(|error| error.refuse(self.challenge()))?;
        if self
            .settings
            .password
            .as_ref()
            .is_some_and(|shared| !shared.matches(&credentials.password))
        {
            return Err(Refusal::unauthenticated("wrong password", self.challenge()));
        }
        let user =
            User::parse(credentials.user).map_err(|reason| Refusal::unauthenticated(reason, self.challenge()))?;
        Ok(Grant::from(user).valid_for(self.settings.valid_for.duration()))
    }
}

impl Simple {
    fn challenge(&self) -> Challenge {
        Challenge::basic(&self.settings.realm)
    }
}

portcullis_sdk::export!(Simple, grants = { headers = ["authorization"] });

fn portcullis() -> String {
    "Portcullis".to_owned()
}

/// The same time as in dask-gateway's own server.
const fn five_minutes() -> Span {
    Span::seconds(300)
}

#[cfg(test)]
mod tests;
