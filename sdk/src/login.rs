//! The trait of plugins that log people in with a browser. The plugin speaks the provider's protocol; the gateway owns the cookies,
//! the state, the redirects, the pages and the sessions.

use std::time::Duration;

use crate::Authenticator;
use crate::Refusal;
use crate::User;

/// Logs people in with a browser. [`export!`](crate::export!) exports it beside the [`Authenticator`], which answers
/// `Refusal::not_mine(None)` about all requests if it knows no credentials.
///
/// A user opens a page without a session; the gateway calls [`begin`](Self::begin) and sends the browser to the provider. The
/// provider sends it back, and the gateway calls [`finish`](Self::finish) and starts a session. The two calls are made in two
/// instances, perhaps in two gateways: what the second one needs is in the memo.
///
/// A refusal is shown as a page: `Unauthenticated` and `Forbidden` as "try again" and "you may not", `Unavailable` as 503.
/// [`Refusal::Respond`] isn't allowed, and a challenge is ignored.
///
/// This is all of a login at a provider that speaks OAuth 2.0 and has an API that says whose a token is:
///
/// ```
/// use std::time::Duration;
///
/// use portcullis_sdk::oauth::{Attempt, Client, Provider};
/// use portcullis_sdk::prelude::*;
/// use portcullis_sdk::{Arrival, Departure, Flow, Login, Parameters, http};
///
/// settings! {
///     pub struct Forge {
///         pub client_id: String,
///         pub client_secret: Secret,
///     }
/// }
///
/// impl Forge {
///     fn provider(&self) -> Provider {
///         Provider::new("https://forge.example/authorize", "https://forge.example/token")
///     }
///
///     fn client(&self) -> Client {
///         Client::new(&self.client_id, self.client_secret.clone())
///     }
///
///     /// The user whom a token belongs to. The token is kept, and the same question is asked again after five minutes.
///     fn arrival(&self, token: &str) -> Result<Arrival, Refusal> {
///         let answer = http::get("https://forge.example/api/user").header("authorization", format!("Bearer {token}")).send();
///         let answer = answer.map_err(|error| Refusal::unavailable(error.to_string()))?;
///         let name = match answer.status {
///             200 => String::from_utf8_lossy(&answer.body).into_owned(),
///             401 => return Err(Refusal::unauthenticated("the provider doesn't know the token any more", None)),
///             status => return Err(Refusal::unavailable(format!("the provider answered {status}"))),
///         };
///         Ok(Arrival::new(User::new(name), Duration::from_secs(300)).with_keep(token))
///     }
/// }
///
/// impl Authenticator for Forge {
///     type Settings = Self;
///
///     fn new(settings: Self) -> Result<Self, SettingsError> {
///         Ok(settings)
///     }
///
///     fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> {
///         Err(Refusal::not_mine(None))
///     }
/// }
///
/// impl Login for Forge {
///     const IDEMPOTENT_RENEWAL: bool = true;
///
///     fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
///         let attempt = Attempt::new();
///         let url = self.provider().authorization_request(&self.client(), flow, &attempt).scope("read:user").url();
///         Ok(Departure::to(url).with_memo(attempt.to_memo()))
///     }
///
///     fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
///         let provider = self.provider();
///         let code = provider.code(parameters)?;
///         let tokens = self.client().exchange(&provider, flow, &Attempt::from_memo(memo)?, code)?;
///         self.arrival(&tokens.access_token)
///     }
///
///     fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
///         self.arrival(&String::from_utf8_lossy(keep))
///     }
/// }
///
/// portcullis_sdk::export!(Forge, login, grants = { http = ["https://forge.example"], login = ["https://forge.example/authorize"] });
/// ```
pub trait Login: Authenticator {
    /// Whether [`renew`](Self::renew) is idempotent: it spends nothing, and what an arrival keeps stays good for as long as the session
    /// holds, such as a token that the provider is asked about. A refresh token that counts once isn't. The manifest says it. If it is
    /// `true`, the gateway also asks about sessions whose browser sends no request meanwhile, because a WebSocket of it is open.
    const IDEMPOTENT_RENEWAL: bool = false;

    /// Begins an attempt: where does the browser go?
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if nobody can log in now.
    fn begin(&self, flow: &Flow) -> Result<Departure, Refusal>;

    /// Ends an attempt, with the memo that [`begin`](Self::begin) returned for the same flow, and the parameters of the
    /// provider's redirect. The gateway has checked the state.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if nobody has logged in who is allowed in. [`Refusal::NotMine`] says that the provider wants to ask
    /// the user, after a flow that was silent; the gateway then begins one that isn't.
    fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal>;

    /// Says whether a session still holds, with what its arrival kept. By default only the browser can tell: the gateway begins a
    /// silent flow.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if the session is over, or [`Refusal::NotMine`] if only the browser can tell.
    fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
        let _ = keep;
        Err(Refusal::not_mine(None))
    }

    /// The URL at which the provider signs the user out, with what the session's arrival kept. The browser should come back to
    /// `return_to` afterwards. By default there is none.
    fn end(&self, keep: Option<&[u8]>, return_to: &str) -> Option<String> {
        let _ = (keep, return_to);
        None
    }

    /// Receives a notice of the provider that sessions are over, and returns their handles, at most 16. By default no notice is
    /// accepted.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if the notice isn't the provider's.
    fn notice(&self, parameters: &Parameters) -> Result<Vec<String>, Refusal> {
        let _ = parameters;
        Err(Refusal::unauthenticated("it accepts no notices", None))
    }
}

/// One attempt to log in, of one browser.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Flow {
    /// To be sent to the provider as `state`.
    pub state: String,
    /// Where the provider sends the browser back to, as it is registered there.
    pub redirect_uri: String,
    /// Whether the provider must ask the user nothing (OpenID Connect: `prompt=none`).
    pub silent: bool,
}

impl Flow {
    /// A flow, for tests.
    pub fn new(state: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self {
            state: state.into(),
            redirect_uri: redirect_uri.into(),
            silent: false,
        }
    }

    /// The same flow, but the provider must ask the user nothing.
    pub fn silent(self) -> Self {
        Self { silent: true, ..self }
    }
}

/// Where the browser goes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Departure {
    /// An absolute URL of at most 8 KiB, within the operator's `grants.login`.
    pub location: String,
    /// What [`Login::finish`] gets back: at most 512 bytes. The gateway seals it in a cookie of the browser.
    pub memo: Vec<u8>,
}

impl Departure {
    /// Sends the browser to this URL.
    pub fn to(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            memo: Vec::new(),
        }
    }

    /// Sets the memo.
    pub fn with_memo(mut self, memo: impl Into<Vec<u8>>) -> Self {
        self.memo = memo.into();
        self
    }
}

/// Somebody has logged in, or a session still holds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Arrival {
    /// The user.
    pub user: User,
    /// After how long the gateway asks [`Login::renew`].
    pub renew_after: Duration,
    /// What [`Login::renew`] and [`Login::end`] get: at most 2 KiB. The gateway seals it in the session's cookie.
    pub keep: Option<Vec<u8>>,
    /// By which the provider may end the session: at most 4, of 1 to 128 bytes each.
    pub handles: Vec<String>,
}

impl Arrival {
    /// This user has logged in. After `renew_after`, in whole seconds and at least one, the gateway asks [`Login::renew`].
    pub fn new(user: User, renew_after: Duration) -> Self {
        Self {
            user,
            renew_after: renew_after.max(Duration::from_secs(1)),
            keep: None,
            handles: Vec::new(),
        }
    }

    /// Sets what [`Login::renew`] and [`Login::end`] get. With more than 2 KiB, the user gets the page for a provider that can't be
    /// asked, and the log says why.
    pub fn with_keep(mut self, keep: impl Into<Vec<u8>>) -> Self {
        self.keep = Some(keep.into());
        self
    }

    /// The arrival, or a refusal if it keeps more than a session may: what a provider gives can be larger than a cookie.
    pub(crate) fn bounded(self) -> Result<Self, Refusal> {
        match self.keep.as_ref().map_or(0, Vec::len) {
            0..=MAX_KEEP => Ok(self),
            size => Err(Refusal::unavailable(format!(
                "the session would keep {size} bytes, and has room for {MAX_KEEP}"
            ))),
        }
    }

    /// Adds a handle by which the provider may end the session.
    pub fn with_handle(mut self, handle: impl Into<String>) -> Self {
        self.handles.push(handle.into());
        self
    }
}

/// The most bytes that a session keeps for its login.
const MAX_KEEP: usize = 2 << 10;

/// The parameters of the provider's redirect or notice, decoded. Each name is there once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parameters, for tests.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| given == name)?;
        Some(value)
    }

    /// All pairs of name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_what_fits() {
        let arrival =
            |size: usize| Arrival::new(User::new("alice"), Duration::from_secs(60)).with_keep(vec![b'x'; size]);
        assert_eq!(arrival(2048).bounded(), Ok(arrival(2048)));
        let error = arrival(2049).bounded().unwrap_err();
        assert_eq!(
            error,
            Refusal::unavailable("the session would keep 2049 bytes, and has room for 2048")
        );
    }
}
