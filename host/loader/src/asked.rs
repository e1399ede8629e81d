//! A plugin in the role in which it is asked about requests.

use std::ops::Deref;

use portcullis::Authenticator;
use portcullis::Authorizer;
use portcullis::Login;
use portcullis::Plugin;

/// A plugin in the role in which it is asked.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "whoever asks plugins has to handle every role")]
pub enum AskedPlugin {
    /// It says who sent a request.
    Authenticator(Authenticator),
    /// It says whether a user may make a request.
    Authorizer(Authorizer),
}

impl AskedPlugin {
    /// It in this role. `None` if it has another one.
    pub const fn authenticator(&self) -> Option<&Authenticator> {
        match self {
            Self::Authenticator(authenticator) => Some(authenticator),
            Self::Authorizer(_) => None,
        }
    }

    /// It in this role. `None` if it has another one.
    pub const fn authorizer(&self) -> Option<&Authorizer> {
        match self {
            Self::Authenticator(_) => None,
            Self::Authorizer(authorizer) => Some(authorizer),
        }
    }

    /// It as a login. `None` if it isn't one.
    pub fn login(&self) -> Option<Login> {
        self.authenticator()?.login()
    }
}

impl Deref for AskedPlugin {
    type Target = Plugin;

    fn deref(&self) -> &Plugin {
        match self {
            Self::Authenticator(authenticator) => authenticator,
            Self::Authorizer(authorizer) => authorizer,
        }
    }
}

impl From<Authenticator> for AskedPlugin {
    fn from(authenticator: Authenticator) -> Self {
        Self::Authenticator(authenticator)
    }
}

impl From<Authorizer> for AskedPlugin {
    fn from(authorizer: Authorizer) -> Self {
        Self::Authorizer(authorizer)
    }
}
