//! Proof of who a client is by its key, instead of a secret (`private_key_jwt`: OpenID Connect Core, section 9; RFC 7523, section
//! 3). The key stays with the gateway.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::OAuthError;
use super::Provider;
use crate::crypto::Algorithm;
use crate::random;
use crate::signing;
use crate::time;

/// How long an assertion is valid, in seconds.
const LIFETIME: u64 = 60;

/// A key that the operator granted for signatures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientKey {
    /// The name under which it is granted.
    pub name: String,
    /// The algorithm of the signatures.
    pub algorithm: Algorithm,
    /// Its id at the provider (`kid`). `None` if the provider needs none.
    pub id: Option<String>,
    /// The SHA-256 hash of its certificate in base64url (`x5t#S256`). `None` if the provider needs none.
    pub thumbprint: Option<String>,
    /// Whether an assertion is for the token endpoint, as some providers expect, and not for the issuer.
    pub for_token_endpoint: bool,
    /// How it signs. Who makes no key has no code for this in the component, and doesn't import `signing`.
    pub(super) prove: fn(&Self, &str, &Provider) -> Result<String, OAuthError>,
}

impl ClientKey {
    /// The key of this name.
    pub fn new(name: impl Into<String>, algorithm: Algorithm) -> Self {
        Self {
            name: name.into(),
            algorithm,
            id: None,
            thumbprint: None,
            for_token_endpoint: false,
            prove: Self::assertion,
        }
    }

    /// A new assertion, which the provider accepts once.
    fn assertion(&self, client_id: &str, provider: &Provider) -> Result<String, OAuthError> {
        let mut header = json!({ "alg": self.algorithm.to_string(), "typ": "JWT" });
        for (name, value) in [("kid", &self.id), ("x5t#S256", &self.thumbprint)] {
            if let (Some(header), Some(value)) = (header.as_object_mut(), value) {
                header.insert(name.to_owned(), value.clone().into());
            }
        }
        let audience = provider.issuer.as_ref().filter(|_| !self.for_token_endpoint);
        let now = time::unix_seconds();
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience.unwrap_or(&provider.token_endpoint),
            "jti": random::text(),
            "iat": now,
            "exp": now.saturating_add(LIFETIME),
        });
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = signing::sign(&self.name, self.algorithm, message.as_bytes());
        let signature = signature
            .map_err(|why| OAuthError::Unavailable(format!("the key {:?} can't sign for us: {why}", self.name)))?;
        Ok(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}
