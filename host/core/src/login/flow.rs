//! What is asked of a login and what it answers, after it was checked.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::decision::Authenticated;
use crate::decision::Identity;

/// How many random bytes a `state` has. It can't be guessed (RFC 6749, section 10.10).
const STATE: usize = 16;

/// One attempt to log in, of one browser.
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the application that owns the browser's cookies builds it"
)]
pub struct Flow {
    /// The `state` that the provider sends back. It is bound to the browser by a cookie.
    pub state: String,
    /// Where the provider sends the browser back to, as it is registered there.
    pub redirect_uri: String,
    /// Whether the provider must ask the user nothing.
    pub silent: bool,
}

impl Flow {
    /// A flow with a new `state` of 22 random characters. `None` if the system's random source fails.
    pub fn new(redirect_uri: impl Into<String>, silent: bool) -> Option<Self> {
        let mut state = [0; STATE];
        rand::fill(&mut state).ok()?;
        Some(Self {
            state: BASE64_URL_SAFE_NO_PAD.encode(state),
            redirect_uri: redirect_uri.into(),
            silent,
        })
    }
}

impl fmt::Debug for Flow {
    /// Omits the state, which is a secret of the flow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("redirect_uri", &self.redirect_uri)
            .field("silent", &self.silent)
            .finish_non_exhaustive()
    }
}

/// Where the browser goes at the beginning of a flow.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Departure {
    /// An absolute URL within [`Grants::login`](crate::Grants::login): visible ASCII, at most 8 KiB.
    pub location: String,
    /// What [`Login::finish`](crate::Login::finish) gets back: at most 512 bytes. It may be a secret.
    pub memo: Vec<u8>,
}

impl fmt::Debug for Departure {
    /// Omits the query and the memo, which are secrets of the flow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location.split('?').next().unwrap_or_default();
        f.debug_struct("Departure")
            .field("location", &location)
            .finish_non_exhaustive()
    }
}

/// Somebody has logged in, or a session still holds.
#[derive(Clone)]
#[non_exhaustive]
pub struct Arrival {
    pub(crate) authenticated: Authenticated,
    pub(crate) renew_after: Duration,
    pub(crate) keep: Option<Vec<u8>>,
    pub(crate) handles: Vec<Handle>,
}

impl Arrival {
    /// The user.
    pub fn identity(&self) -> &Identity {
        &self.authenticated.identity
    }

    /// The user as a decision about this request, with the header fields for the response. A session is started by
    /// [`Sessions::start`](crate::session::Sessions::start).
    pub fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }

    /// After how long the session must be renewed: at least a second.
    pub fn renew_after(&self) -> Duration {
        self.renew_after
    }

    /// What [`Login::renew`](crate::Login::renew) and [`Login::end`](crate::Login::end) get: at most 2 KiB. It may be a secret.
    pub fn keep(&self) -> Option<&[u8]> {
        self.keep.as_deref()
    }

    /// By which the provider may end the session: at most 4.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

impl fmt::Debug for Arrival {
    /// Omits what is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("user", &self.identity().name())
            .field("renew_after", &self.renew_after)
            .field("handles", &self.handles)
            .finish_non_exhaustive()
    }
}

/// The provider's name for something that sessions end with, such as its own session or a user: 1 to 128 bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Handle(String);

impl Handle {
    /// The longest handle, in bytes.
    pub const MAX: usize = 128;

    /// Checks the size of a handle.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (1..=Self::MAX).contains(&text.len()).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
