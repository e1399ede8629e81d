//! The beginning of a flow: the URL at which the provider asks the user (RFC 6749, section 4.1.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;

use super::OAuthError;
use crate::random;

/// What has to be the same at both ends of a flow: the PKCE verifier, which the provider checks (RFC 7636), and the nonce, which is
/// compared with that of the `id_token` (OpenID Connect Core, section 15.5.2).
#[derive(Clone, Eq, PartialEq)]
pub struct Attempt {
    verifier: String,
    nonce: String,
}

impl Attempt {
    /// A new attempt, with random numbers of the gateway.
    #[expect(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Self {
        Self {
            // 43 characters, the shortest verifier that is allowed (RFC 7636, section 4.1).
            verifier: BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>()),
            nonce: random::text(),
        }
    }

    /// The bytes for [`Departure::with_memo`](crate::Departure::with_memo).
    pub fn to_memo(&self) -> Vec<u8> {
        format!("{}\n{}", self.verifier, self.nonce).into_bytes()
    }

    /// The attempt of a memo.
    ///
    /// # Errors
    ///
    /// Returns an error if the memo isn't that of an attempt, for example after the plugin has changed.
    pub fn from_memo(memo: &[u8]) -> Result<Self, OAuthError> {
        let parts = str::from_utf8(memo).ok().and_then(|text| text.split_once('\n'));
        let parts = parts.filter(|(verifier, nonce)| !verifier.is_empty() && !nonce.is_empty());
        let (verifier, nonce) =
            parts.ok_or_else(|| OAuthError::Malformed("the memo isn't that of this plugin".to_owned()))?;
        Ok(Self {
            verifier: verifier.to_owned(),
            nonce: nonce.to_owned(),
        })
    }

    /// The nonce that the `id_token` must have.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn verifier(&self) -> &str {
        &self.verifier
    }

    /// The challenge of the verifier, by the method S256 (RFC 7636, section 4.2).
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempt(…)")
    }
}

/// The URL at which the provider asks the user. [`Provider::authorization_request`](super::Provider::authorization_request) makes
/// one.
#[derive(Clone, Debug)]
#[must_use = "it is a URL in parts"]
pub struct AuthorizationRequest {
    pub(super) endpoint: String,
    pub(super) parameters: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// Adds a parameter, in place of one of the same name: `prompt`, `login_hint`, or one of the provider's own.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(given, _)| given != name);
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the scopes that are asked for, separated by spaces.
    pub fn scope(self, scope: &str) -> Self {
        self.with("scope", scope)
    }

    /// Adds the nonce of an attempt, for providers that give an `id_token`.
    pub fn nonce(self, attempt: &Attempt) -> Self {
        self.with("nonce", attempt.nonce())
    }

    /// The URL. What the endpoint has for a query itself stays (RFC 6749, section 3.1).
    pub fn url(&self) -> String {
        with_query(&self.endpoint, &self.parameters)
    }
}

/// A URL with further parameters.
pub fn with_query(url: &str, parameters: &[(String, String)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let separator = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{url}{separator}{}", query.finish())
}
