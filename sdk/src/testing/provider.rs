//! A fake provider: it logs a user in as the provider of a real flow would, so that a test sees what the plugin makes of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;

use super::FakeHost;
#[cfg(feature = "testing")]
use super::openid::OpenId;
use crate::Arrival;
use crate::Departure;
use crate::Flow;
use crate::Login;
use crate::Parameters;
use crate::Refusal;
use crate::Response;

/// A provider that speaks OAuth 2.0 with PKCE. It belongs to a [`FakeHost`], which answers at its token endpoint.
///
/// ```
/// use portcullis_sdk::Secret;
/// use portcullis_sdk::oauth::Attempt;
/// use portcullis_sdk::oauth::Client;
/// use portcullis_sdk::oauth::Provider;
/// use portcullis_sdk::testing::FakeHost;
/// use portcullis_sdk::testing::FakeProvider;
/// # use portcullis_sdk::Departure;
/// # use portcullis_sdk::Flow;
///
/// let host = FakeHost::start();
/// let fake = FakeProvider::start(&host, "https://id.example/token", r#"{"access_token": "at"}"#);
/// let (provider, client) = (Provider::new("https://id.example/authorize", "https://id.example/token"), Client::new("us", None));
/// let (flow, attempt) = (Flow::new("state", "https://gateway.test/callback"), Attempt::new());
/// let url = provider.authorization_request(&client, &flow, &attempt).url();
/// let callback = fake.log_in(&Departure::to(url)).unwrap();
/// let code = provider.code(&callback).unwrap();
/// assert_eq!(client.exchange(&provider, &flow, &attempt, code).unwrap().access_token, "at");
/// ```
#[derive(Clone, Debug)]
pub struct FakeProvider(pub(super) Rc<RefCell<State>>);

/// The parameters of a request.
pub(super) type Asked = BTreeMap<String, String>;

#[derive(Debug, Default)]
pub(super) struct State {
    /// The codes that weren't exchanged yet, with the parameters of the request that each is for.
    pub(super) codes: BTreeMap<String, Asked>,
    /// The refresh tokens that weren't used yet, with the client of each.
    pub(super) refresh_tokens: BTreeMap<String, String>,
    /// Requests that were pushed (RFC 9126).
    pub(super) pushed: BTreeMap<String, Asked>,
    pub(super) made: u32,
    pub(super) tokens: String,
    pub(super) nonce: Option<String>,
    #[cfg(feature = "testing")]
    pub(super) openid: Option<OpenId>,
}

impl FakeProvider {
    /// A provider with a token endpoint at this URL, which answers with this JSON to whoever has a code, its verifier and the
    /// `redirect_uri` of its request. It refuses anybody else, as RFC 6749 says.
    pub fn start(host: &FakeHost, token_endpoint: &str, tokens: &str) -> Self {
        let this = Self::of(State {
            tokens: tokens.to_owned(),
            ..State::default()
        });
        let (state, endpoint) = (Rc::clone(&this.0), token_endpoint.to_owned());
        host.serve_at(endpoint, move |request| Ok(state.borrow_mut().exchange(&request.body)));
        this
    }

    pub(super) fn of(state: State) -> Self {
        Self(Rc::new(RefCell::new(state)))
    }

    /// Replaces the JSON with which the token endpoint answers.
    pub fn set_tokens(&self, tokens: &str) {
        tokens.clone_into(&mut self.0.borrow_mut().tokens);
    }

    /// The nonce of the latest request, to be put into an `id_token`.
    pub fn nonce(&self) -> Option<String> {
        self.0.borrow().nonce.clone()
    }

    /// Lets the user of a browser that was sent here log in. Returns the parameters of the callback, without `state`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the request.
    pub fn log_in(&self, departure: &Departure) -> Result<Parameters, String> {
        let (_, query) = departure.location.split_once('?').ok_or("the URL has no parameters")?;
        let mut asked: Asked = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut state = self.0.borrow_mut();
        if let Some(uri) = asked.get("request_uri") {
            asked = state.pushed.remove(uri).ok_or("the request_uri isn't known")?;
        }
        for name in ["client_id", "redirect_uri", "state", "code_challenge"] {
            if asked.get(name).is_none_or(String::is_empty) {
                return Err(format!("the URL has no {name}"));
            }
        }
        for (name, expected) in [("response_type", "code"), ("code_challenge_method", "S256")] {
            if asked.get(name).map(String::as_str) != Some(expected) {
                return Err(format!("{name} isn't {expected}"));
            }
        }
        state.made += 1;
        let code = format!("code {}", state.made);
        state.nonce = asked.get("nonce").cloned();
        state.codes.insert(code.clone(), asked);
        #[cfg_attr(
            not(feature = "testing"),
            expect(unused_mut, reason = "only that provider adds to it")
        )]
        let mut answer = vec![("code", code)];
        #[cfg(feature = "testing")]
        if let Some(issuer) = state.openid.as_ref().and_then(OpenId::names_itself) {
            answer.push(("iss", issuer.to_owned()));
        }
        Ok(Parameters::new(answer))
    }

    /// Goes through a whole flow with a login: begins it, logs the user in, and finishes it.
    ///
    /// # Errors
    ///
    /// Returns the login's refusal, or that of a gateway whose session can't keep so much.
    ///
    /// # Panics
    ///
    /// Panics if the login begins with a request that no provider would accept.
    #[expect(clippy::panic, reason = "the test has failed")]
    pub fn through(&self, login: &impl Login) -> Result<Arrival, Refusal> {
        let flow = Flow::new(
            crate::random::text(),
            "https://gateway.test/.portcullis/login/test/callback",
        );
        let departure = login.begin(&flow)?;
        let callback = self
            .log_in(&departure)
            .unwrap_or_else(|why| panic!("{why}: {}", departure.location));
        login.finish(&flow, &departure.memo, &callback)?.bounded()
    }
}

impl State {
    pub(super) fn exchange(&mut self, body: &[u8]) -> Response {
        let sent: Asked = form_urlencoded::parse(body).into_owned().collect();
        let text = |name: &str| sent.get(name).cloned().unwrap_or_default();
        let refused = Response::new(400).with_body(r#"{"error": "invalid_grant"}"#);
        let granted = |tokens: String| Response::new(200).with_body(tokens);
        if text("grant_type") == "refresh_token" {
            return match self.refresh_tokens.remove(&text("refresh_token")) {
                Some(client) => granted(self.answer(&client, None)),
                None => refused,
            };
        }
        // A code is valid once.
        let Some(asked) = self.codes.remove(&text("code")) else {
            return refused;
        };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text("code_verifier")));
        let is_same = |name: &str, value: &str| asked.get(name).is_some_and(|asked| asked == value);
        let is_good = text("grant_type") == "authorization_code"
            && is_same("redirect_uri", &text("redirect_uri"))
            && is_same("code_challenge", &challenge);
        match is_good {
            true => granted(self.answer(
                asked.get("client_id").map(String::as_str).unwrap_or_default(),
                asked.get("nonce"),
            )),
            false => refused,
        }
    }

    /// The tokens for a client, with a new refresh token.
    fn answer(&mut self, client: &str, nonce: Option<&String>) -> String {
        self.made += 1;
        let refresh_token = format!("refresh {}", self.made);
        self.refresh_tokens.insert(refresh_token.clone(), client.to_owned());
        #[cfg(feature = "testing")]
        if let Some(openid) = &self.openid {
            return openid.tokens(client, nonce, &refresh_token);
        }
        let _ = nonce;
        self.tokens.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Authenticator;
    use crate::Grant;
    use crate::Request;
    use crate::SettingsError;
    use crate::User;
    use crate::oauth::Attempt;
    use crate::oauth::Client;
    use crate::oauth::Provider;

    const TOKEN: &str = "https://id.example/token";

    struct Forge;

    impl Authenticator for Forge {
        type Settings = BTreeMap<String, String>;

        fn new(_: Self::Settings) -> Result<Self, SettingsError> {
            Ok(Self)
        }

        fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> {
            Err(Refusal::not_mine(None))
        }
    }

    fn provider() -> Provider {
        Provider::new("https://id.example/authorize", TOKEN)
    }

    impl Login for Forge {
        fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
            let attempt = Attempt::new();
            let request = provider().authorization_request(&Client::new("us", None), flow, &attempt);
            Ok(Departure::to(request.nonce(&attempt).url()).with_memo(attempt.to_memo()))
        }

        fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
            let code = provider().code(parameters)?;
            let attempt = Attempt::from_memo(memo)?;
            let tokens = Client::new("us", None).exchange(&provider(), flow, &attempt, code)?;
            Ok(Arrival::new(User::new(tokens.access_token), Duration::from_secs(60)))
        }
    }

    #[test]
    fn a_user_goes_through_a_flow_and_nobody_else_does() {
        let host = FakeHost::start();
        let fake = FakeProvider::start(&host, TOKEN, r#"{"access_token": "alice"}"#);
        assert_eq!(fake.through(&Forge).unwrap().user, User::new("alice"));
        assert!(fake.nonce().is_some());

        let flow = Flow::new("s", "https://gateway.test/callback");
        let one = Forge.begin(&flow).unwrap();
        let other = Forge.begin(&flow).unwrap();
        let denied = |result: Result<Arrival, Refusal>| {
            assert!(matches!(result, Err(Refusal::Unauthenticated(_, None))), "{result:?}");
        };
        // The verifier of another flow (RFC 9700, section 4.5).
        let callback = fake.log_in(&one).unwrap();
        denied(Forge.finish(&flow, &other.memo, &callback));
        let callback = fake.log_in(&one).unwrap();
        denied(Forge.finish(&Flow::new("s", "https://other.test/"), &one.memo, &callback));
        let callback = fake.log_in(&one).unwrap();
        assert!(Forge.finish(&flow, &one.memo, &callback).is_ok());
        denied(Forge.finish(&flow, &one.memo, &callback));
        for (url, why) in [
            ("https://id.example/authorize", "no parameters"),
            ("https://id.example/authorize?a=b", "no client_id"),
            (&one.location.replace("S256", "plain"), "code_challenge_method"),
        ] {
            assert!(fake.log_in(&Departure::to(url)).unwrap_err().contains(why), "{url}");
        }
    }
}
