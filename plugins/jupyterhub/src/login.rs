//! Logs people in at the hub, which is a provider of OAuth 2.0 for its services. A session holds for as long as the hub knows the
//! token that it gave for it; the hub forgets it when the user logs out there.

use portcullis_sdk::Arrival;
use portcullis_sdk::Departure;
use portcullis_sdk::Flow;
use portcullis_sdk::Login;
use portcullis_sdk::Parameters;
use portcullis_sdk::Token;
use portcullis_sdk::oauth::Attempt;
use portcullis_sdk::oauth::Client;
use portcullis_sdk::oauth::Provider;
use portcullis_sdk::prelude::*;

use crate::JupyterHub;

/// The hub as a provider, and who we are there.
#[derive(Debug)]
pub(crate) struct HubLogin {
    pub(crate) provider: Provider,
    pub(crate) client: Client,
    /// Where browsers are sent after a logout. `None` if they stay.
    pub(crate) logout_url: Option<String>,
}

impl Login for JupyterHub {
    /// The hub is asked about the same token again, which spends nothing.
    const IDEMPOTENT_RENEWAL: bool = true;

    fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
        let login = self.login()?;
        let attempt = Attempt::new();
        // The hub has no `prompt`. Without `scope`, it gives all scopes that the service may have.
        let flow = Flow::new(&flow.state, &flow.redirect_uri);
        let url = login
            .provider
            .authorization_request(&login.client, &flow, &attempt)
            .url();
        Ok(Departure::to(url).with_memo(attempt.to_memo()))
    }

    fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
        let login = self.login()?;
        let code = login.provider.code(parameters)?;
        let attempt = Attempt::from_memo(memo)?;
        let tokens = login.client.exchange(&login.provider, flow, &attempt, code)?;
        let token = Token::parse(tokens.access_token.as_bytes());
        let token =
            token.ok_or_else(|| Refusal::unavailable("JupyterHub's token has other characters than a token has"))?;
        self.arrival(&token)
    }

    fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
        let token = Token::parse(keep);
        let token = token.ok_or_else(|| Refusal::unauthenticated("the session keeps no token", None))?;
        self.arrival(&token)
    }

    fn end(&self, _: Option<&[u8]>, _: &str) -> Option<String> {
        self.login.as_ref()?.logout_url.clone()
    }
}

impl JupyterHub {
    fn login(&self) -> Result<&HubLogin, Refusal> {
        let missing = || Refusal::unavailable("settings.login is missing, which says where people log in");
        self.login.as_ref().ok_or_else(missing)
    }

    /// The owner of a token that the hub gave for a session. The hub itself is asked each time.
    fn arrival(&self, token: &Token) -> Result<Arrival, Refusal> {
        let owner = self.hub.owner_of(token).map_err(Refusal::unavailable)?;
        let Some(mut owner) = owner else {
            return Err(Refusal::unauthenticated(
                "JupyterHub doesn't know the token of the session",
                None,
            ));
        };
        let session = owner.take_session();
        let arrival = Arrival::new(self.user(owner)?, self.cache.max_age).with_keep(token.as_str());
        Ok(match session {
            Some(session) => arrival.with_handle(format!("session:{session}")),
            None => arrival,
        })
    }
}
