//! The positive outcome of an authenticator. A grant names the user and says how long the gateway may reuse the
//! decision.

use std::time::Duration;

use crate::User;

/// An authenticated user, and how the gateway may proceed. It is made from a [`User`]: `Ok(User::new("alice").into())`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    /// The user who sent the request.
    pub user: User,
    /// How long the gateway may reuse this decision, for example in a session cookie. `None` forbids reuse.
    pub valid_for: Option<Duration>,
    /// Headers that are added to the response, whatever its status. Kerberos sends a token back in one.
    pub response_headers: Vec<(String, Vec<u8>)>,
}

impl Grant {
    /// Lets the gateway reuse this decision for `duration`, in whole seconds. A duration below one second forbids
    /// reuse.
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
