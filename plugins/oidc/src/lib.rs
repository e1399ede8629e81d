//! The built-in login `oidc`. It logs people in at a provider of OpenID Connect, by the authorization code flow with PKCE. The README
//! of this crate lists the settings.
//!
//! `login` goes through a flow, `provider` asks the provider where its endpoints are, `id_token` verifies who has logged in, `userinfo`
//! asks for more, `kept` is what a session keeps, and `logout` ends one. How tokens are verified and what their claims say is in
//! `portcullis_tokens`, which the plugin `jwt` shares.

mod id_token;
mod kept;
mod login;
mod logout;
mod provider;
mod settings;
#[cfg(test)]
mod tests;
mod userinfo;

use std::time::Duration;

use portcullis_sdk::oauth::Client;
use portcullis_sdk::prelude::*;
use portcullis_tokens::algorithm::AlgorithmSet;
use portcullis_tokens::claims::Claims;
use portcullis_tokens::claims::times::TimeRules;
use portcullis_tokens::error::TokenError;
use portcullis_tokens::identity::Mapping;

use login::Ask;
use logout::EndSession;
use provider::Place;

pub use portcullis_tokens::claims::path::ClaimPath;
pub use portcullis_tokens::claims::rule::Rule;
pub use portcullis_tokens::identity::FirstOf;
pub use settings::AssertionAudience;
pub use settings::Settings;

/// Logs people in at one provider.
#[derive(Debug)]
pub struct Oidc {
    place: Place,
    client: Client,
    ask: Ask,
    algorithms: AlgorithmSet,
    times: TimeRules,
    max_age: Option<Duration>,
    userinfo: bool,
    valid_for: Duration,
    refresh_tokens: bool,
    end_session: EndSession,
    required_claims: Vec<ClaimPath>,
    rules: Vec<Rule>,
    mapping: Mapping,
    user_prefix: String,
}

impl Authenticator for Oidc {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.into_plugin()
    }

    /// Nobody comes with credentials: people log in.
    fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> {
        Err(Refusal::not_mine(None))
    }
}

// The settings name the issuer, but its metadata names its endpoints.
portcullis_sdk::export!(Oidc, login, grants = { http = ["*"], login = ["*"] });

impl Oidc {
    /// The user of these claims, if the rules let them in.
    fn user(&self, claims: &Claims) -> Result<User, Refusal> {
        claims.require(&self.required_claims).map_err(refused)?;
        let broken = self.rules.iter().try_for_each(|rule| rule.check(claims));
        broken.map_err(refused)?;
        self.mapping.user(claims, &self.user_prefix).map_err(refused)
    }
}

/// The refusal that fits what is wrong with a token of the provider.
fn refused(error: TokenError) -> Refusal {
    match error {
        TokenError::Rule(_) => Refusal::forbidden(error.to_string(), None),
        TokenError::Unavailable(why) => Refusal::unavailable(why),
        other => Refusal::unauthenticated(format!("the provider's answer: {other}"), None),
    }
}

/// A refusal because the provider's answer isn't what it must be: nobody has logged in.
fn wrong(why: impl Into<String>) -> Refusal {
    Refusal::unauthenticated(format!("the provider's answer: {}", why.into()), None)
}
