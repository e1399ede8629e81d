//! Who we are at a provider, and the exchange of a code for tokens (RFC 6749, sections 2.3 and 4.1.3). A code is sent once: its
//! second use could revoke what the first one gave.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Attempt;
use super::AuthorizationRequest;
use super::ClientKey;
use super::OAuthError;
use super::Provider;
use crate::Flow;
use crate::Response;
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
    /// A signature with a key of the client's own, in the form.
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
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
    /// The key that signs, for [`ClientAuthentication::PrivateKeyJwt`].
    pub key: Option<ClientKey>,
    /// How we say who we are.
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
            key: None,
            authentication: ClientAuthentication::default(),
            timeout: Duration::from_secs(4),
        }
    }

    /// Sets how id and secret are sent.
    pub fn authentication(self, authentication: ClientAuthentication) -> Self {
        Self { authentication, ..self }
    }

    /// Proves who we are with this key.
    pub fn signed_by(self, key: ClientKey) -> Self {
        Self {
            key: Some(key),
            authentication: ClientAuthentication::PrivateKeyJwt,
            ..self
        }
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

    /// Sends the parameters of a request to the provider itself, so that the browser carries only a reference to them (RFC 9126).
    ///
    /// # Errors
    ///
    /// Returns an error if the provider accepts no such requests, refuses this one, or can't be asked.
    pub fn push(
        &self,
        provider: &Provider,
        request: &AuthorizationRequest,
    ) -> Result<AuthorizationRequest, OAuthError> {
        let endpoint = provider.pushed_authorization_request_endpoint.as_deref();
        let endpoint = endpoint.ok_or_else(|| {
            let missing = "the provider's metadata has no pushed_authorization_request_endpoint";
            OAuthError::Unavailable(missing.to_owned())
        })?;
        let pairs = request.parameters.iter();
        let pairs = Vec::from_iter(pairs.map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = self.post(provider, endpoint, &pairs)?;
        // RFC 9126, section 2.2, says 201; some providers answer with 200.
        let pushed: Pushed = read(endpoint, matches!(answer.status, 200 | 201), &answer, "request_uri")?;
        let parameters = [("client_id", &self.id), ("request_uri", &pushed.request_uri)];
        Ok(AuthorizationRequest {
            endpoint: request.endpoint.clone(),
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .to_vec(),
        })
    }

    fn request(&self, provider: &Provider, parameters: &[(&str, &str)]) -> Result<Tokens, OAuthError> {
        let answer = self.post(provider, &provider.token_endpoint, parameters)?;
        read(&provider.token_endpoint, answer.status == 200, &answer, "access_token")
    }

    /// Posts a form to an endpoint of the provider, and says who we are.
    fn post(&self, provider: &Provider, endpoint: &str, parameters: &[(&str, &str)]) -> Result<Response, OAuthError> {
        let mut form = BTreeMap::from_iter(parameters.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut request = http::post(endpoint)
            .header("accept", "application/json")
            .timeout(self.timeout)
            .max_body(MAX_ANSWER);
        match (self.authentication, &self.secret, &self.key) {
            (ClientAuthentication::Basic, Some(secret), _) => {
                // Both are form-encoded first (RFC 6749, section 2.3.1).
                let [id, secret] = [self.id.as_str(), secret.expose()].map(encoded);
                let credentials = BASE64_STANDARD.encode(format!("{id}:{secret}"));
                request = request.header("authorization", format!("Basic {credentials}"));
            }
            (ClientAuthentication::Post, Some(secret), _) => {
                form.insert("client_id", self.id.clone());
                form.insert("client_secret", secret.expose().to_owned());
            }
            (ClientAuthentication::PrivateKeyJwt, _, Some(key)) => {
                form.insert("client_id", self.id.clone());
                form.insert("client_assertion_type", ASSERTION.to_owned());
                form.insert("client_assertion", (key.prove)(key, &self.id, provider)?);
            }
            _ => {
                form.insert("client_id", self.id.clone());
            }
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let answer = request.body(body, "application/x-www-form-urlencoded").send();
        answer.map_err(|error| OAuthError::Unavailable(format!("{endpoint}: {error}")))
    }
}

/// The type of an assertion that is a JWT (RFC 7523, section 2.2).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The answer to a pushed request (RFC 9126, section 2.2).
#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
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

/// Reads the answer of an endpoint, which must have this member.
fn read<T: DeserializeOwned>(endpoint: &str, is_good: bool, answer: &Response, member: &str) -> Result<T, OAuthError> {
    // Some providers say errors with the status 200.
    if let Ok(failure) = serde_json::from_slice::<Failure>(&answer.body) {
        return Err(OAuthError::of_provider(
            &failure.error,
            failure.error_description.as_deref(),
        ));
    }
    if !is_good {
        let status = answer.status;
        return Err(OAuthError::Unavailable(format!(
            "{endpoint} answered with status {status}"
        )));
    }
    // The error of the JSON would quote the token.
    serde_json::from_slice(&answer.body)
        .map_err(|_| OAuthError::Unavailable(format!("the answer of {endpoint} has no {member} as JSON")))
}
