//! What goes wrong between us and a provider, and which refusal that is. What a provider says goes to the operator's log only.

use crate::Refusal;
use crate::http::HttpError;

/// Why there is no answer of a provider that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// The user or the provider refuses: nobody has logged in.
    #[error("{0}")]
    Denied(String),
    /// The provider wants to ask the user, which a silent flow doesn't allow (OpenID Connect Core, section 3.1.2.6).
    #[error("the provider wants to ask the user")]
    Interaction,
    /// The callback or the answer isn't what the provider would send.
    #[error("{0}")]
    Malformed(String),
    /// The provider can't be reached, is too slow or has an error, or it doesn't accept us: the operator has to act.
    #[error("{0}")]
    Unavailable(String),
}

impl OAuthError {
    /// What a provider's error means (RFC 6749, sections 4.1.2.1 and 5.2).
    pub(super) fn of_provider(error: &str, description: Option<&str>) -> Self {
        let described = description
            .map(|text| format!(": {}", printable(text)))
            .unwrap_or_default();
        let why = format!("the provider answered {:?}{described}", printable(error));
        match error {
            // The last one is GitHub's name for `invalid_grant`.
            "access_denied" | "invalid_grant" | "bad_verification_code" => Self::Denied(why),
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                Self::Interaction
            }
            _ => Self::Unavailable(why),
        }
    }
}

impl From<HttpError> for OAuthError {
    fn from(error: HttpError) -> Self {
        Self::Unavailable(format!("the request to the provider failed: {error}"))
    }
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        match error {
            OAuthError::Denied(why) | OAuthError::Malformed(why) => Self::unauthenticated(why, None),
            OAuthError::Interaction => Self::not_mine(None),
            OAuthError::Unavailable(why) => Self::unavailable(why),
        }
    }
}

/// The longest text of a provider in an error, in characters.
const MAX_TEXT: usize = 200;

/// A text of somebody else in the form for a log line.
pub(super) fn printable(text: &str) -> String {
    let shown = text.chars().take(MAX_TEXT);
    shown.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
