//! Where a provider's endpoints are. Settings name them, or the provider says it (OpenID Connect Discovery 1.0; RFC 8414).

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::Attempt;
use super::AuthorizationRequest;
use super::Client;
use super::OAuthError;
use super::error::printable;
use super::request::with_query;
use crate::Flow;
use crate::cache;
use crate::http;

/// The largest metadata, in bytes.
const MAX_METADATA: usize = 256 * 1024;

/// How long metadata is kept, however long the provider allows it.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Where a provider's endpoints are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Provider {
    /// Its issuer identifier. `None` if it has none, as those that speak OAuth 2.0 only.
    pub issuer: Option<String>,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where a code is exchanged for tokens.
    pub token_endpoint: String,
    /// Its keys.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// What it knows of a user.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// Where the browser is sent to sign out (OpenID Connect RP-Initiated Logout 1.0).
    #[serde(default)]
    pub end_session_endpoint: Option<String>,
    /// Where requests are sent in advance (RFC 9126, section 5).
    #[serde(default)]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Whether they must be.
    #[serde(default, rename = "require_pushed_authorization_requests")]
    pub wants_requests_pushed: bool,
    /// Whether its answers always say who it is (RFC 9207, section 3).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub names_itself: bool,
}

impl Provider {
    /// A provider with these endpoints.
    pub fn new(authorization_endpoint: impl Into<String>, token_endpoint: impl Into<String>) -> Self {
        Self {
            issuer: None,
            authorization_endpoint: authorization_endpoint.into(),
            token_endpoint: token_endpoint.into(),
            jwks_uri: None,
            userinfo_endpoint: None,
            end_session_endpoint: None,
            pushed_authorization_request_endpoint: None,
            wants_requests_pushed: false,
            names_itself: false,
        }
    }

    /// Asks a provider of OpenID Connect where its endpoints are. The answer is kept for an hour.
    ///
    /// # Errors
    ///
    /// Returns an error if the provider can't be asked, if its answer has no endpoints, or if it is that of another issuer
    /// (OpenID Connect Discovery 1.0, section 4.3).
    pub fn discover(issuer: &str, timeout: Duration) -> Result<Self, OAuthError> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Self::described_at(&url, issuer, |found| found == issuer, timeout)
    }

    /// Asks for metadata at another URL than that below the issuer, or of an issuer that has no single name. `is_issuer` says
    /// whether the metadata is that of the `issuer`, whose name here is for errors. The answer is kept for an hour.
    ///
    /// # Errors
    ///
    /// Returns an error as [`discover`](Self::discover) does.
    pub fn described_at(
        url: &str,
        issuer: &str,
        is_issuer: impl FnOnce(&str) -> bool,
        timeout: Duration,
    ) -> Result<Self, OAuthError> {
        let key = cache::key(&[b"oauth provider", url.as_bytes(), issuer.as_bytes()]);
        let kept = cache::get(&key).and_then(|kept| serde_json::from_slice(&kept).ok());
        if let Some(known) = kept {
            return Ok(known);
        }
        let unusable = |why: String| OAuthError::Unavailable(format!("{url} {why}"));
        let answer = http::get(url)
            .header("accept", "application/json")
            .timeout(timeout)
            .max_body(MAX_METADATA)
            .send()
            .map_err(|error| OAuthError::Unavailable(format!("{url}: {error}")))?;
        if answer.status != 200 {
            return Err(unusable(format!("answered with status {}", answer.status)));
        }
        let found: Self = serde_json::from_slice(&answer.body)
            .map_err(|why| unusable(format!("isn't the metadata of a provider: {why}")))?;
        // It must be the very text, or a provider could speak for another one.
        let name = found.issuer.as_deref().unwrap_or_default();
        if !is_issuer(name) {
            let hint = match name.trim_end_matches('/') == issuer.trim_end_matches('/') {
                true => "; they differ by a slash at the end",
                false => "",
            };
            let name = printable(name);
            return Err(unusable(format!(
                "is the metadata of another issuer: it says {name:?}, and {issuer:?} is expected{hint}"
            )));
        }
        if let Ok(kept) = serde_json::to_vec(&found) {
            cache::set(&key, &kept, KEPT);
        }
        Ok(found)
    }

    /// The URL at which the provider asks the user, with `state` and PKCE. A silent flow asks for `prompt=none`.
    pub fn authorization_request(&self, client: &Client, flow: &Flow, attempt: &Attempt) -> AuthorizationRequest {
        let pairs = [
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &flow.redirect_uri),
            ("state", &flow.state),
            ("code_challenge", &attempt.challenge()),
            ("code_challenge_method", "S256"),
        ];
        let parameters = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = AuthorizationRequest {
            endpoint: self.authorization_endpoint.clone(),
            parameters: parameters.to_vec(),
        };
        match flow.silent {
            true => request.with("prompt", "none"),
            false => request,
        }
    }

    /// The URL at which the provider signs the user out and sends the browser back to `return_to`. `id_token` says who it is;
    /// without it the provider asks the user. `None` if the provider has no such place.
    pub fn end_session_url(&self, client: &Client, id_token: Option<&str>, return_to: &str) -> Option<String> {
        let mut pairs = vec![
            ("client_id".to_owned(), client.id.clone()),
            ("post_logout_redirect_uri".to_owned(), return_to.to_owned()),
        ];
        pairs.extend(id_token.map(|token| ("id_token_hint".to_owned(), token.to_owned())));
        Some(with_query(self.end_session_endpoint.as_deref()?, &pairs))
    }
}
