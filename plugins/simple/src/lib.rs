//! Basic credentials of any user, with one password that all share or with none at all. It knows nobody: whoever has
//! the password is who they say they are.

use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::Span;

settings! {
    /// What the authenticator `simple` is set up with.
    #[non_exhaustive]
    pub struct Settings {
        /// The password that all users share. Without it any password will do.
        pub password: Option<Secret>,
        /// What a browser names when it asks for the credentials.
        #[serde(default = "portcullis")]
        pub realm: String,
        /// How long the gateway may reuse a decision, in a cache or a session cookie: seconds, or a number with a unit
        /// such as "12h". 0 asks for the credentials with every request.
        #[serde(default = "five_minutes")]
        pub valid_for: Span,
    }
}

/// Lets in everybody who sends Basic credentials (RFC 7617) with the shared password.
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
        let credentials = request.basic().map_err(|none| none.refuse(self.challenge()))?;
        if self
            .settings
            .password
            .as_ref()
            .is_some_and(|shared| !shared.matches(&credentials.password))
        {
            return Err(Refusal::unauthenticated("wrong password", self.challenge()));
        }
        let user = User::parse(credentials.user).map_err(|why| Refusal::unauthenticated(why, self.challenge()))?;
        Ok(Grant::from(user).valid_for(self.settings.valid_for.duration()))
    }
}

impl Simple {
    fn challenge(&self) -> Challenge {
        Challenge::basic(&self.settings.realm)
    }
}

portcullis_sdk::export!(Simple);

fn portcullis() -> String {
    "Portcullis".to_owned()
}

/// As long as dask-gateway's own server keeps a user.
const fn five_minutes() -> Span {
    Span::seconds(300)
}

#[cfg(test)]
mod tests;
