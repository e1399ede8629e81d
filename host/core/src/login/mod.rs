//! A plugin that logs people in with a browser. It is called under the same guard as an authenticator, and speaks the provider's
//! protocol; whoever asks it owns the cookies, the redirects and the sessions.

mod answer;
mod error;
mod exports;
mod flow;
mod meters;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use self::exports::Begin;
use self::exports::End;
use self::exports::Finish;
use self::exports::ForRequest;
use self::exports::NamedExport;
use self::exports::Notice;
use self::exports::Renew;
use self::meters::LoginMeters;
use crate::plugin::Call;
use crate::plugin::ConfiguredPlugin;
use crate::plugin::Sender;
use crate::request::AuthRequest;
use crate::sandbox::PluginError;

pub use self::error::LoginError;
pub use self::flow::Arrival;
pub use self::flow::Departure;
pub use self::flow::Flow;
pub use self::flow::Handle;

/// The most parameters of a callback or a notice, and the most bytes of all their names and values.
const MAX_PARAMETERS: usize = 64;
const MAX_PARAMETER_BYTES: usize = 64 << 10;

/// A configured plugin in the role of a login: [`Authenticator::login`](crate::Authenticator::login). A clone is the same login.
///
/// Each call is made for a request of a client, of which the plugin sees nothing: its address is for the rate limit and the
/// circuit breaker, its id for the log. A call runs to completion even if its future is dropped. Nothing is reused from one call
/// for another.
#[derive(Clone)]
pub struct Login {
    plugin: ConfiguredPlugin,
    meters: Arc<LoginMeters>,
}

/// The answer of a login, and what the operator may want to know of the call.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginCall<T> {
    /// The answer, or why there is none.
    pub result: Result<T, LoginError>,
    /// How many of its requests to other servers were denied because no grant covers them.
    pub denied: u32,
    /// The lines of the level WARN and above about the call: at most 32.
    pub warnings: Vec<String>,
    /// How many bytes of memory its instance had at the end. Zero if there was no instance.
    pub memory: usize,
    /// How long the call took.
    pub elapsed: Duration,
}

impl Login {
    /// The login of a plugin. `None` if its component isn't one.
    pub(crate) fn of(plugin: &ConfiguredPlugin) -> Option<Self> {
        plugin.component().is_login().then(|| Self {
            meters: Arc::new(LoginMeters::new(plugin.name())),
            plugin: plugin.clone(),
        })
    }

    /// The operator's name for the authenticator.
    pub fn name(&self) -> &str {
        self.plugin.name()
    }

    /// Whether [`renew`](Self::renew) spends nothing, so that it may be asked about a session whose browser doesn't get what the login
    /// keeps next: [`Manifest::idempotent_renewal`](crate::Manifest::idempotent_renewal).
    pub(crate) fn renews_idempotently(&self) -> bool {
        let manifest = self.plugin.component().manifest();
        manifest.is_some_and(|manifest| manifest.idempotent_renewal)
    }

    /// Begins an attempt: where does the browser go? The place is within [`Grants::login`](crate::Grants::login).
    pub async fn begin(&self, request: &AuthRequest, flow: &Flow) -> LoginCall<Departure> {
        let call = Begin(flow.clone());
        let grants = Arc::clone(self.plugin.shared_grants());
        self.ask(request, call, move |answer| answer::departure(&grants, answer))
            .await
    }

    /// Ends an attempt, with what [`begin`](Self::begin) said of the same flow and the parameters of the callback, decoded and
    /// without `state`: at most 64, of 64 KiB together. The caller has made sure that each is there once and that the browser is
    /// the one of the flow.
    pub async fn finish(
        &self,
        request: &AuthRequest,
        flow: &Flow,
        memo: &[u8],
        parameters: Vec<(String, String)>,
    ) -> LoginCall<Arrival> {
        if let Some(why) = too_many(&parameters) {
            return self.unasked("finish", why);
        }
        let call = Finish {
            flow: flow.clone(),
            memo: memo.to_vec(),
            parameters,
        };
        let this = self.plugin.clone();
        self.ask(request, call, move |answer| answer::arrival(&this, answer))
            .await
    }

    /// Asks whether a session still holds, with what the arrival kept.
    pub async fn renew(&self, request: &AuthRequest, keep: &[u8]) -> LoginCall<Arrival> {
        let this = self.plugin.clone();
        let call = Renew(keep.to_vec());
        self.ask(request, call, move |answer| answer::arrival(&this, answer))
            .await
    }

    /// Asks where the provider signs the user out, with what the arrival kept. The place is within
    /// [`Grants::login`](crate::Grants::login), and should send the browser to `return_to` afterwards. `None` if the provider
    /// has no such place.
    pub async fn end(&self, request: &AuthRequest, keep: Option<&[u8]>, return_to: &str) -> LoginCall<Option<String>> {
        let call = End {
            keep: keep.map(<[u8]>::to_vec),
            return_to: return_to.to_owned(),
        };
        let grants = Arc::clone(self.plugin.shared_grants());
        self.ask(request, call, move |answer| answer::way_out(&grants, answer))
            .await
    }

    /// Passes on a notice of the provider, with the parameters of its form: at most 64, of 64 KiB together. Returns by which
    /// handles sessions are over.
    pub async fn notice(&self, request: &AuthRequest, parameters: Vec<(String, String)>) -> LoginCall<Vec<Handle>> {
        if let Some(why) = too_many(&parameters) {
            return self.unasked("notice", why);
        }
        self.ask(request, Notice(parameters), answer::handles_of_notice).await
    }

    async fn ask<X: NamedExport, T: Send + 'static>(
        &self,
        request: &AuthRequest,
        export: X,
        read: impl FnOnce(X::Answer) -> Result<Result<T, LoginError>, PluginError> + Send + 'static,
    ) -> LoginCall<T> {
        let start = Instant::now();
        // What it is asked about is new with every attempt, so that only the address can be told.
        let sender = Sender::at(request.client_address);
        let begun = self.plugin.count(request).and_then(|()| {
            let export = ForRequest {
                export,
                id: request.id.clone(),
            };
            self.plugin.call(sender, export, read, |_| ())
        });
        let call = match begun {
            Ok(call) => call.await.0.into(),
            Err(why) => LoginCall::without(LoginError::turned_away(why)),
        };
        let call = LoginCall {
            elapsed: start.elapsed(),
            ..call
        };
        self.meters.record(X::NAME, &call);
        call
    }

    /// The result if the plugin isn't asked, for this reason.
    fn unasked<T>(&self, function: &'static str, why: &str) -> LoginCall<T> {
        let call = LoginCall::without(LoginError::Unauthenticated(why.to_owned()));
        self.meters.record(function, &call);
        call
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl<T> LoginCall<T> {
    fn without(error: LoginError) -> Self {
        Self {
            result: Err(error),
            denied: 0,
            warnings: Vec::new(),
            memory: 0,
            elapsed: Duration::ZERO,
        }
    }
}

impl<T> From<Call<Result<T, LoginError>>> for LoginCall<T> {
    fn from(call: Call<Result<T, LoginError>>) -> Self {
        Self {
            result: call
                .result
                .unwrap_or_else(|error| Err(LoginError::Failed(error.to_string()))),
            denied: call.denied,
            warnings: call.warnings,
            memory: call.memory,
            elapsed: Duration::ZERO,
        }
    }
}

/// Why these parameters are passed to no plugin. `None` if they may be.
fn too_many(parameters: &[(String, String)]) -> Option<&'static str> {
    let bytes: usize = parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
    let is_in_bounds = parameters.len() <= MAX_PARAMETERS && bytes <= MAX_PARAMETER_BYTES;
    (!is_in_bounds).then_some("it has more than 64 parameters, or more than 64 KiB of them")
}
