//! Login at GitHub, which speaks OAuth 2.0 and not OpenID Connect: its API says whose a token is.

use std::time::Duration;

use portcullis_sdk::oauth::{Attempt, Client, Provider};
use portcullis_sdk::prelude::*;
use portcullis_sdk::{Arrival, Departure, Flow, Login, Parameters, http};
use serde_json::Value;

settings! {
    /// The settings.
    pub struct Settings {
        /// The id of the OAuth app.
        pub client_id: String,
        /// Its secret.
        pub client_secret: Secret,
        /// The organization whose members may log in.
        pub organization: String,
    }
}

/// How long GitHub may take to answer. A login asks three times, within the deadline of 5 seconds.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// Logs members of an organization in.
#[derive(Debug)]
pub struct GitHub(Settings);

impl Authenticator for GitHub {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        // It becomes a part of a URL.
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match !settings.organization.is_empty() && is_name(&settings.organization) {
            true => Ok(Self(settings)),
            false => Err("organization: expected letters, digits and hyphens, as in its address at GitHub".into()),
        }
    }

    fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> {
        Err(Refusal::not_mine(None))
    }
}

impl Login for GitHub {
    const IDEMPOTENT_RENEWAL: bool = true; // It asks about the same token again.
    fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
        let attempt = Attempt::new();
        let request = provider().authorization_request(&self.client(), flow, &attempt);
        Ok(Departure::to(request.scope("read:org").url()).with_memo(attempt.to_memo()))
    }

    fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
        let code = provider().code(parameters)?;
        let attempt = Attempt::from_memo(memo)?;
        let tokens = self.client().exchange(&provider(), flow, &attempt, code)?;
        self.arrival(&tokens.access_token)
    }

    fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
        self.arrival(&String::from_utf8_lossy(keep))
    }
}

portcullis_sdk::export!(
    GitHub,
    login,
    grants = {
        http = ["https://github.com", "https://api.github.com"],
        login = ["https://github.com/login/oauth/authorize"],
    },
);

impl GitHub {
    fn client(&self) -> Client {
        Client::new(&self.0.client_id, self.0.client_secret.clone()).timeout(TIMEOUT)
    }

    fn arrival(&self, token: &str) -> Result<Arrival, Refusal> {
        let account = ask("/user", token)?;
        // The number stays the same; the login can become somebody else's.
        let (Some(id), Some(login)) = (account["id"].as_u64(), account["login"].as_str()) else {
            return Err(Refusal::unavailable("GitHub doesn't say who it is"));
        };
        let membership = ask(&format!("/user/memberships/orgs/{}", self.0.organization), token)?;
        if membership["state"] != "active" {
            let why = format!("{login} is no member of {}", self.0.organization);
            return Err(Refusal::forbidden(why, None));
        }
        let user = User::new(id.to_string()).with_attribute("login", login);
        Ok(Arrival::new(user, Duration::from_secs(300)).with_keep(token))
    }
}

fn provider() -> Provider {
    let site = "https://github.com/login/oauth";
    Provider::new(format!("{site}/authorize"), format!("{site}/access_token"))
}

/// What GitHub says of the owner of a token; `null` if it has no such thing, or doesn't say it to this app.
fn ask(path: &str, token: &str) -> Result<Value, Refusal> {
    let answer = http::get(format!("https://api.github.com{path}"))
        .header("accept", "application/vnd.github+json")
        .header("authorization", format!("Bearer {token}"))
        .header("user-agent", "portcullis")
        .timeout(TIMEOUT)
        .send();
    let unusable = |why: String| Refusal::unavailable(format!("GitHub: {path}: {why}"));
    let answer = answer.map_err(|error| unusable(error.to_string()))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| unusable(error.to_string())),
        401 => Err(Refusal::unauthenticated("GitHub doesn't know the token any more", None)),
        403 | 404 => Ok(Value::Null),
        status => Err(unusable(format!("status {status}"))),
    }
}

#[cfg(test)]
mod tests;
