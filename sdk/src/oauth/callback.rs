//! The provider's redirect back to us. What it says is looked at in the order that RFC 9207 needs: first who says it.

use super::OAuthError;
use super::Provider;
use super::error::printable;
use crate::Parameters;

impl Provider {
    /// The code of a callback, to be exchanged for tokens once.
    ///
    /// # Errors
    ///
    /// Returns an error if the answer is that of another provider (RFC 9207, section 2.4), if the provider refuses, or if there is
    /// no code.
    pub fn code<'p>(&self, parameters: &'p Parameters) -> Result<&'p str, OAuthError> {
        match (parameters.get("iss"), &self.issuer) {
            (Some(found), Some(expected)) if found != expected => {
                return Err(OAuthError::Malformed(format!(
                    "the answer is of another issuer: its iss is {:?}, and {expected:?} is expected",
                    printable(found)
                )));
            }
            (None, _) if self.names_itself => {
                return Err(OAuthError::Malformed(
                    "the answer doesn't say its issuer (iss)".to_owned(),
                ));
            }
            _ => {}
        }
        if let Some(error) = parameters.get("error") {
            return Err(OAuthError::of_provider(error, parameters.get("error_description")));
        }
        let code = parameters.get("code").filter(|code| !code.is_empty());
        code.ok_or_else(|| OAuthError::Malformed("the answer has neither a code nor an error".to_owned()))
    }
}
