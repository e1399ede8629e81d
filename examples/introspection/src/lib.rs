//! Opaque tokens of OAuth 2.0. The authorization server says whom a token belongs to (RFC 7662).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_sdk::Token;
use portcullis_sdk::cache;
use portcullis_sdk::http;
use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::HttpUrl;
use portcullis_sdk::settings::Span;
use portcullis_sdk::time;
use serde::Deserialize;
use serde::Serialize;

settings! {
    /// The settings.
    pub struct Settings {
        /// The introspection endpoint of the authorization server.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub endpoint: HttpUrl,
        /// The client as which the gateway asks.
        pub client_id: String,
        /// Its secret.
        pub client_secret: Secret,
        /// The audience that a token must have, so that tokens for other services are refused.
        pub audience: Option<String>,
        /// Scopes that a token must have.
        #[serde(default)]
        pub scopes: Vec<String>,
        /// How long an answer is used. A token that is revoked is accepted for that much longer. Default: 1 minute.
        #[serde(default = "one_minute")]
        pub remember: Span,
        /// How long the server may take. Default: 3 seconds.
        #[schemars(extend("x-portcullis-requests" = 1))]
        #[serde(default = "three_seconds")]
        pub timeout: Span,
    }
}

/// Asks an authorization server about tokens.
#[derive(Debug)]
pub struct Introspection {
    settings: Settings,
}

/// The server's answer (RFC 7662, section 2.2).
#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    active: bool,
    username: Option<String>,
    sub: Option<String>,
    scope: Option<String>,
    exp: Option<u64>,
    aud: Option<Audiences>,
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

impl Authenticator for Introspection {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        if settings.audience.is_none() && settings.scopes.is_empty() {
            let why = "audience: set it, or scopes, to say which tokens are meant for this service";
            return Err(why.into());
        }
        Ok(Self { settings })
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let challenge = || Challenge::bearer("portcullis");
        let token = request.bearer().map_err(|error| error.refuse(challenge()))?;
        let answer = self.answer(&token).map_err(Refusal::unavailable)?;
        // RFC 6750, section 3.1, has the codes.
        let invalid = |why| Refusal::unauthenticated(why, challenge().error("invalid_token", why));
        let lives = match answer.exp {
            Some(expiry) => Duration::from_secs(expiry.saturating_sub(time::unix_seconds())),
            None => self.remember(),
        };
        if !answer.active || lives.is_zero() {
            return Err(invalid("The token is not active"));
        }
        if !self
            .settings
            .audience
            .as_deref()
            .is_none_or(|wanted| answer.is_for(wanted))
        {
            return Err(invalid("The token is for another audience"));
        }
        if let Some(missing) = self.settings.scopes.iter().find(|scope| !answer.has(scope)) {
            let challenge = challenge().error("insufficient_scope", "A scope is missing");
            let challenge = challenge.scope(&self.settings.scopes);
            return Err(Refusal::forbidden(
                format!("the token lacks the scope {missing}"),
                challenge,
            ));
        }
        let name = answer.username.or(answer.sub).unwrap_or_default();
        let user = User::parse(name).map_err(|why| Refusal::forbidden(format!("its user: {why}"), None))?;
        Ok(Grant::from(user).valid_for(self.remember().min(lives)))
    }
}

impl Introspection {
    fn remember(&self) -> Duration {
        self.settings.remember.duration()
    }

    /// The answer about a token, from the gateway's cache or from the server.
    fn answer(&self, token: &Token) -> Result<Answer, String> {
        let key = cache::key(&[token.as_str().as_bytes()]);
        let kept = cache::get(&key).and_then(|kept| serde_json::from_slice(&kept).ok());
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let answer = self.ask(token)?;
        if let (false, Ok(json)) = (self.remember().is_zero(), serde_json::to_vec(&answer)) {
            cache::set(&key, &json, self.remember());
        }
        Ok(answer)
    }

    fn ask(&self, token: &Token) -> Result<Answer, String> {
        let form = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        // RFC 6749, section 2.3.1: both are encoded like a form before they are encoded as Basic credentials.
        let (id, secret) = (
            form(&self.settings.client_id),
            form(self.settings.client_secret.expose()),
        );
        let response = http::post(self.settings.endpoint.as_str())
            .header(
                "authorization",
                format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            )
            .header("accept", "application/json")
            .body(
                format!("token={}", form(token.as_str())),
                "application/x-www-form-urlencoded",
            )
            .timeout(self.settings.timeout.duration())
            .send()
            .map_err(|error| format!("the introspection endpoint can't be asked: {error}"))?;
        match response.status {
            200 => serde_json::from_slice(&response.body)
                .map_err(|_| "the introspection endpoint's answer is not that of RFC 7662".to_owned()),
            401 => Err("the introspection endpoint refuses client_id and client_secret (401)".to_owned()),
            status => Err(format!("the introspection endpoint answered with status {status}")),
        }
    }
}

impl Answer {
    fn is_for(&self, wanted: &str) -> bool {
        match &self.aud {
            Some(Audiences::One(audience)) => audience == wanted,
            Some(Audiences::Several(audiences)) => audiences.iter().any(|audience| audience == wanted),
            None => false,
        }
    }

    fn has(&self, wanted: &str) -> bool {
        self.scope
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .any(|scope| scope == wanted)
    }
}

portcullis_sdk::export!(Introspection, grants = { headers = ["authorization"] });

const fn one_minute() -> Span {
    Span::seconds(60)
}

const fn three_seconds() -> Span {
    Span::seconds(3)
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::Response;
    use portcullis_sdk::testing::{FakeHost, RequestBuilder, configure};

    use super::*;

    const ENDPOINT: &str = "https://id.example.org/introspect";

    fn configured(more: &str) -> Result<Introspection, String> {
        configure(&format!(
            r#"{{"endpoint": "{ENDPOINT}", "client_id": "a b", "client_secret": "s:%"{more}}}"#
        ))
    }

    fn request(token: &str) -> Request {
        RequestBuilder::get("/")
            .header("authorization", format!("Bearer {token}"))
            .build()
    }

    #[test]
    fn the_answer_decides() {
        let authenticator = configured(r#", "audience": "app", "scopes": ["read"]"#).unwrap();
        let forbidden = "403";
        for (status, body, expected) in [
            (
                200,
                r#"{"active": true, "username": "alice", "sub": "7", "aud": "app", "scope": "x read"}"#,
                "alice",
            ),
            (
                200,
                r#"{"active": true, "sub": "7", "aud": ["other", "app"], "scope": "read"}"#,
                "7",
            ),
            (
                200,
                r#"{"active": true, "sub": "7", "aud": "app", "scope": "read", "exp": 1001}"#,
                "7",
            ),
            (
                200,
                r#"{"active": true, "sub": "7", "aud": "app", "scope": "read", "exp": 1000}"#,
                "401",
            ),
            (200, r#"{"active": false}"#, "401"),
            (
                200,
                r#"{"active": true, "sub": "7", "aud": "other", "scope": "read"}"#,
                "401",
            ),
            (200, r#"{"active": true, "sub": "7", "scope": "read"}"#, "401"),
            (
                200,
                r#"{"active": true, "sub": "7", "aud": "app", "scope": "reader"}"#,
                forbidden,
            ),
            (200, r#"{"active": true, "aud": "app", "scope": "read"}"#, forbidden),
            (
                200,
                r#"{"active": "true", "sub": "7", "aud": "app", "scope": "read"}"#,
                "503",
            ),
            (401, "", "503"),
            (500, "", "503"),
        ] {
            let host = FakeHost::start();
            host.set_unix_seconds(1000);
            host.serve(move |_| Ok(Response::new(status).with_body(body)));
            let result = match authenticator.authenticate(&request("t")) {
                Ok(grant) => grant.user.name,
                Err(Refusal::Unauthenticated(..)) => "401".to_owned(),
                Err(Refusal::Forbidden(..)) => forbidden.to_owned(),
                Err(Refusal::Unavailable(_)) => "503".to_owned(),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(result, expected, "{status} {body}");
        }
    }

    #[test]
    fn the_server_is_asked_once_and_knows_the_client() {
        let host = FakeHost::start();
        host.answer(
            ENDPOINT,
            Response::new(200).with_body(r#"{"active": true, "sub": "7", "scope": "read"}"#),
        );
        let authenticator = configured(r#", "scopes": ["read"]"#).unwrap();
        for _ in 0..2 {
            assert!(authenticator.authenticate(&request("t/+")).is_ok());
        }
        let [asked] = host.requests().try_into().unwrap();
        let credentials = STANDARD.encode("a+b:s%3A%25");
        assert_eq!(asked.header("authorization"), Some(format!("Basic {credentials}")));
        assert_eq!(asked.body, b"token=t%2F%2B");
    }

    #[test]
    fn settings_must_say_which_tokens_are_meant() {
        assert!(configured("").unwrap_err().starts_with("audience: "));
    }
}
