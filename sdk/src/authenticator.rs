//! The trait that every authenticator implements. The gateway makes an authenticator from its settings and asks it who
//! sent each request.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::Grant;
use crate::Refusal;
use crate::Request;
use crate::SettingsError;

/// Identifies the user who sent a request.
///
/// By default the gateway makes a fresh instance for every request, so [`new`](Self::new) runs as often as
/// [`authenticate`](Self::authenticate). Keep it cheap, and keep nothing in the value that the next request needs.
/// State that must outlive a request belongs in the [`cache`](crate::cache).
pub trait Authenticator: Sized {
    /// The settings in the configuration. [`settings!`](crate::settings!) derives everything that they need, and adds
    /// `#[serde(deny_unknown_fields)]`, which turns a misspelt name into an error.
    type Settings: DeserializeOwned + JsonSchema;

    /// Makes an authenticator from its settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings contradict each other or can't work. The operator reads the text: name the
    /// setting that is wrong and say what would be right.
    fn new(settings: Self::Settings) -> Result<Self, SettingsError>;

    /// Identifies the user who sent the request.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if there is no such user. It decides what the gateway does next.
    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal>;
}
