//! Challenges for the `WWW-Authenticate` header. They tell the client which credentials the gateway accepts.

/// One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). The gateway quotes the values.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Challenge {
    /// The authentication scheme, such as `Bearer`.
    pub scheme: String,
    /// The parameters as names and values, in the order in which they are sent.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Makes a challenge of this scheme without parameters.
    pub fn new(scheme: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            parameters: Vec::new(),
        }
    }

    /// Asks for a user name and a password, which the client is told to send in UTF-8 (RFC 7617, section 2.1).
    pub fn basic(realm: impl Into<String>) -> Self {
        Self::new("Basic").with("realm", realm).with("charset", "UTF-8")
    }

    /// Asks for a bearer token (RFC 6750, section 3).
    pub fn bearer(realm: impl Into<String>) -> Self {
        Self::new("Bearer").with("realm", realm)
    }

    /// Adds a parameter.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Adds the reason why the token was refused: `invalid_request`, `invalid_token` or `insufficient_scope` (RFC 6750,
    /// section 3.1), and a description for developers. Characters that the section forbids in a description become
    /// spaces.
    pub fn error(self, code: impl Into<String>, description: &str) -> Self {
        let description: String = description
            .chars()
            .map(|c| if allowed_in_description(c) { c } else { ' ' })
            .collect();
        self.with("error", code).with("error_description", description)
    }

    /// Adds the scopes that a token needs.
    pub fn scope(self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let scopes: Vec<String> = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        self.with("scope", scopes.join(" "))
    }
}

/// RFC 6750, section 3, allows `%x20-21 / %x23-5B / %x5D-7E`: no quotes and no backslashes.
const fn allowed_in_description(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_challenge_says_what_was_wrong_and_which_scopes_are_needed() {
        let challenge = Challenge::bearer("api")
            .error("insufficient_scope", "needs \"read\"\r\n")
            .scope(["a", "b"]);
        assert_eq!(challenge.scheme, "Bearer");
        let parameters: Vec<_> = challenge
            .parameters
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            parameters,
            [
                ("realm", "api"),
                ("error", "insufficient_scope"),
                ("error_description", "needs  read   "),
                ("scope", "a b")
            ]
        );
    }
}
