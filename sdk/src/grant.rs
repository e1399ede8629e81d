//! A user, and how to go on from there.

use std::time::Duration;

use crate::User;

/// A user, and how to go on. Made from a [`User`]: `Ok(User::new("alice").into())`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    /// Who sent the request.
    pub user: User,
    /// How long the gateway may reuse this decision, in a cache or in a session cookie; none: not at all.
    pub valid_for: Option<Duration>,
    /// Added to the response, whatever its status: Kerberos answers with a token of its own.
    pub response_headers: Vec<(String, Vec<u8>)>,
}

impl Grant {
    /// Lets the gateway reuse this decision for so long, counted in whole seconds; for less than one, not at all.
    pub const fn valid_for(mut self, duration: Duration) -> Self {
        self.valid_for = if duration.as_secs() == 0 { None } else { Some(duration) };
        self
    }

    /// Adds a header to the response.
    pub fn with_response_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.response_headers.push((name.into(), value.into()));
        self
    }
}

impl From<User> for Grant {
    fn from(user: User) -> Self {
        Self {
            user,
            valid_for: None,
            response_headers: Vec::new(),
        }
    }
}
