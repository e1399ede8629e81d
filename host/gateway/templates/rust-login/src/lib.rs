//! Logs people in at a provider that speaks OAuth 2.0 and has an API that says whose a token is.

use std::time::Duration;

use portcullis_sdk::Arrival;
use portcullis_sdk::Departure;
use portcullis_sdk::Flow;
use portcullis_sdk::Login;
use portcullis_sdk::Parameters;
use portcullis_sdk::http;
use portcullis_sdk::oauth::Attempt;
use portcullis_sdk::oauth::Client;
use portcullis_sdk::oauth::Provider;
use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::HttpUrl;

settings! {
    /// The settings.
    pub struct Settings {
        /// Where browsers are sent to log in.
        #[schemars(extend("x-portcullis-grant" = "login"))]
        pub authorize_url: HttpUrl,
        /// Where the code that a browser brings back is exchanged for a token.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub token_url: HttpUrl,
        /// Who owns a token: an API that answers with JSON.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub user_url: HttpUrl,
        /// The member of this JSON that is the user's name. Choose one that never passes to somebody else.
        pub user_member: String,
        /// Who the gateway is at the provider.
        pub client_id: String,
        /// Its secret there.
        pub client_secret: Secret,
    }
}

/// After how long the provider is asked again whether a session still holds.
const RENEW_AFTER: Duration = Duration::from_secs(300);

/// How long the provider may take to answer. A login asks twice, within the deadline of 5 seconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Knows the provider.
#[derive(Debug)]
pub struct MyPlugin {
    settings: Settings,
}

impl Authenticator for MyPlugin {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self { settings })
    }

    /// Nobody comes with credentials: people log in.
    fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> {
        Err(Refusal::not_mine(None))
    }
}

impl Login for MyPlugin {
    /// The provider is asked about the same token again, which spends nothing.
    const IDEMPOTENT_RENEWAL: bool = true;

    fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
        let attempt = Attempt::new();
        let request = self.provider().authorization_request(&self.client(), flow, &attempt);
        Ok(Departure::to(request.url()).with_memo(attempt.to_memo()))
    }

    fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
        let provider = self.provider();
        let code = provider.code(parameters)?;
        let attempt = Attempt::from_memo(memo)?;
        let tokens = self.client().exchange(&provider, flow, &attempt, code)?;
        self.arrival(&tokens.access_token)
    }

    fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
        self.arrival(&String::from_utf8_lossy(keep))
    }
}

portcullis_sdk::export!(
    MyPlugin,
    login,
    // The settings name everything that it asks for.
    grants = {},
    self_test = [{ name = "it knows no credentials", expect = { verdict = "pass" } }],
);

impl MyPlugin {
    fn provider(&self) -> Provider {
        Provider::new(self.settings.authorize_url.as_str(), self.settings.token_url.as_str())
    }

    fn client(&self) -> Client {
        Client::new(&self.settings.client_id, self.settings.client_secret.clone()).timeout(TIMEOUT)
    }

    /// The owner of a token, which the session keeps.
    fn arrival(&self, token: &str) -> Result<Arrival, Refusal> {
        let answer = http::get(self.settings.user_url.as_str())
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "application/json")
            .timeout(TIMEOUT)
            .send()
            .map_err(|error| Refusal::unavailable(format!("the provider's API: {error}")))?;
        match answer.status {
            200 => {}
            401 => {
                return Err(Refusal::unauthenticated(
                    "the provider doesn't know the token any more",
                    None,
                ));
            }
            status => {
                return Err(Refusal::unavailable(format!(
                    "the provider's API answered with status {status}"
                )));
            }
        }
        let found: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Refusal::unavailable("the provider's API didn't answer with JSON"))?;
        let name = found.get(&self.settings.user_member).and_then(|name| name.as_str());
        let name =
            name.ok_or_else(|| Refusal::unavailable("the provider's API names no user (settings: user_member)"))?;
        let user = User::parse(name).map_err(|why| Refusal::forbidden(format!("the user's name: {why}"), None))?;
        Ok(Arrival::new(user, RENEW_AFTER).with_keep(token))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::Response;
    use portcullis_sdk::testing::FakeHost;
    use portcullis_sdk::testing::FakeProvider;
    use portcullis_sdk::testing::configure;

    use super::*;

    const SETTINGS: &str = r#"{
        "authorize_url": "https://id.example/authorize", "token_url": "https://id.example/token",
        "user_url": "https://id.example/api/user", "user_member": "id", "client_id": "gateway", "client_secret": "open sesame"
    }"#;

    #[test]
    fn who_the_provider_knows_logs_in_and_stays_while_it_does() {
        let host = FakeHost::start();
        let provider = FakeProvider::start(&host, "https://id.example/token", r#"{"access_token": "t"}"#);
        let answer =
            |status, body: &str| host.answer("https://id.example/api/user", Response::new(status).with_body(body));
        let login: MyPlugin = configure(SETTINGS).unwrap();
        answer(200, r#"{"id": "u1"}"#);
        let arrival = provider.through(&login).unwrap();
        assert_eq!(arrival.user, User::new("u1"));
        assert_eq!(login.renew(b"t"), Ok(arrival));
        answer(401, "");
        assert!(matches!(login.renew(b"t"), Err(Refusal::Unauthenticated(..))));
        for (status, body) in [(500, ""), (200, "<html>"), (200, "{}")] {
            answer(status, body);
            assert!(
                matches!(provider.through(&login), Err(Refusal::Unavailable(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn a_code_counts_in_its_own_flow_only() {
        let host = FakeHost::start();
        let provider = FakeProvider::start(&host, "https://id.example/token", r#"{"access_token": "t"}"#);
        let login: MyPlugin = configure(SETTINGS).unwrap();
        let flow = Flow::new("state", "https://gateway.test/callback");
        let (one, other) = (login.begin(&flow).unwrap(), login.begin(&flow).unwrap());
        let callback = provider.log_in(&one).unwrap();
        let refused = login.finish(&flow, &other.memo, &callback);
        assert!(matches!(refused, Err(Refusal::Unauthenticated(..))), "{refused:?}");
    }
}
