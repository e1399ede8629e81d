//! Who we are at a provider, and the exchange of a code for tokens (RFC 6749, sections 2.3 and 4.1.3). A code is sent once: its
//! second use could revoke what the first one gave.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Attempt;
use super::OAuthError;
use super::Provider;
use crate::Flow;
use crate::Secret;
use crate::http;

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// How a client says at the token endpoint who it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[schemars(inline)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Id and secret as HTTP Basic credentials.
    #[default]
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// Id and secret in the form.
    #[serde(rename = "client_secret_post")]
    Post,
    /// Only the id in the form: the client has no secret, or the gateway adds it as a header.
    #[serde(rename = "none")]
    None,
}

/// Who we are at a provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The secret. `None` if there is none.
    pub secret: Option<Secret>,
    /// How they are sent.
    pub authentication: ClientAuthentication,
    /// How long the provider may take to answer.
    pub timeout: Duration,
}

/// The answer of a token endpoint (RFC 6749, section 5.1).
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tokens {
    /// The access token. It is a secret.
    pub access_token: String,
    /// Its lifetime in seconds.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// The token that says who has logged in (OpenID Connect Core, section 3.1.3.3). Verify it.
    #[serde(default)]
    pub id_token: Option<String>,
    /// The token for new tokens. It is a secret.
    #[serde(default)]
    pub refresh_token: Option<String>,
    /// The scopes that were granted, if they aren't those that were asked for.
    #[serde(default)]
    pub scope: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Client {
    /// A client with an id and a secret, which are sent as HTTP Basic credentials. The provider may take four seconds to answer.
    pub fn new(id: impl Into<String>, secret: impl Into<Option<Secret>>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            authentication: ClientAuthentication::default(),
            timeout: Duration::from_secs(4),
        }
    }

    /// Sets how id and secret are sent.
    pub fn authentication(self, authentication: ClientAuthentication) -> Self {
        Self { authentication, ..self }
    }

    /// Sets how long the provider may take to answer.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Exchanges the code of a flow for tokens.
    ///
    /// # Errors
    ///
    /// Returns an error if the provider refuses the code, or if it can't be asked.
    pub fn exchange(
        &self,
        provider: &Provider,
        flow: &Flow,
        attempt: &Attempt,
        code: &str,
    ) -> Result<Tokens, OAuthError> {
        self.request(
            provider,
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", &flow.redirect_uri),
                ("code_verifier", attempt.verifier()),
            ],
        )
    }

    /// Asks for new tokens with a refresh token. Many providers accept each one once and answer with the next one.
    ///
    /// # Errors
    ///
    /// Returns an error if the provider refuses the token, or if it can't be asked.
    pub fn refresh(&self, provider: &Provider, refresh_token: &str) -> Result<Tokens, OAuthError> {
        self.request(
            provider,
            &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)],
        )
    }

    fn request(&self, provider: &Provider, parameters: &[(&str, &str)]) -> Result<Tokens, OAuthError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters);
        let mut request = http::post(&provider.token_endpoint)
            .header("accept", "application/json")
            .timeout(self.timeout)
            .max_body(MAX_ANSWER);
        match (self.authentication, &self.secret) {
            (ClientAuthentication::Basic, Some(secret)) => {
                // Both are form-encoded first (RFC 6749, section 2.3.1).
                let [id, secret] = [self.id.as_str(), secret.expose()].map(encoded);
                let credentials = BASE64_STANDARD.encode(format!("{id}:{secret}"));
                request = request.header("authorization", format!("Basic {credentials}"));
            }
            (ClientAuthentication::Post, Some(secret)) => {
                form.append_pair("client_id", &self.id);
                form.append_pair("client_secret", secret.expose());
            }
            _ => {
                form.append_pair("client_id", &self.id);
            }
        }
        let answer = request
            .body(form.finish(), "application/x-www-form-urlencoded")
            .send()?;
        read(answer.status, &answer.body)
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The error of a token endpoint (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Failure {
    error: String,
    error_description: Option<String>,
}

fn read(status: u16, body: &[u8]) -> Result<Tokens, OAuthError> {
    // Some providers say errors with the status 200.
    if let Ok(failure) = serde_json::from_slice::<Failure>(body) {
        return Err(OAuthError::of_provider(
            &failure.error,
            failure.error_description.as_deref(),
        ));
    }
    if status != 200 {
        return Err(OAuthError::Unavailable(format!(
            "the provider's token endpoint answered with status {status}"
        )));
    }
    // The error of the JSON would quote the token.
    serde_json::from_slice(body).map_err(|_| {
        OAuthError::Unavailable("the answer of the provider's token endpoint has no access_token as JSON".to_owned())
    })
}
