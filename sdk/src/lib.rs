//! Write a plugin for Portcullis in Rust: an authenticator, which says who sent a request, or an authorizer, which says whether
//! they may make it. A plugin is a type that implements [`Authenticator`] or [`Authorizer`] and is exported with [`export!`];
//! compiled for `wasm32-wasip2` it is a component that the gateway loads.
//!
//! ```
//! use portcullis_sdk::prelude::*;
//!
//! /// Accepts requests that carry the key.
//! pub struct ApiKey(Settings);
//!
//! settings! {
//!     pub struct Settings {
//!         /// The key that clients send in `X-Api-Key`.
//!         pub key: Secret,
//!     }
//! }
//!
//! impl Authenticator for ApiKey {
//!     type Settings = Settings;
//!
//!     fn new(settings: Settings) -> Result<Self, SettingsError> {
//!         Ok(Self(settings))
//!     }
//!
//!     fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
//!         match request.header("x-api-key").as_slice() {
//!             [] => Err(Refusal::not_mine(None)),
//!             [key] if self.0.key.matches(key) => Ok(User::new("api").into()),
//!             _ => Err(Refusal::unauthenticated("wrong API key", None)),
//!         }
//!     }
//! }
//!
//! portcullis_sdk::export!(ApiKey);
//! ```
//!
//! In native tests, the same code runs against a fake gateway: see [`testing`].

extern crate self as portcullis_sdk;

mod authenticator;
mod authorizer;
mod challenge;
mod configured;
mod credentials;
mod digest;
mod export;
mod grant;
mod login;
mod refusal;
mod request;
mod response;
mod secret;
mod url;
mod user;

pub mod cache;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod component;
pub mod crypto;
pub mod http;
#[cfg(feature = "jwt")]
pub mod jwt;
pub mod log;
#[doc(hidden)]
pub mod manifest;
pub mod negotiate;
pub mod oauth;
pub mod random;
pub mod settings;
pub mod signing;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

pub use authenticator::Authenticator;
pub use authorizer::Authorizer;
pub use authorizer::Denial;
pub use authorizer::Permit;
pub use authorizer::Principal;
pub use challenge::Challenge;
pub use configured::SettingsError;
pub use credentials::BasicCredentials;
pub use credentials::NoCredentials;
pub use credentials::Token;
pub use digest::constant_time_eq;
pub use grant::Grant;
pub use login::Arrival;
pub use login::Departure;
pub use login::Flow;
pub use login::Login;
pub use login::Parameters;
pub use refusal::Refusal;
pub use response::Response;
pub use schemars;
pub use secret::Secret;
pub use serde;
pub use user::User;

#[cfg(target_arch = "wasm32")]
pub use component::Request;
#[cfg(not(target_arch = "wasm32"))]
pub use testing::Request;

#[cfg(target_arch = "wasm32")]
use component::imports as host;
#[cfg(not(target_arch = "wasm32"))]
use testing::imports as host;

/// The items that nearly every plugin uses: `use portcullis_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::Authenticator;
    pub use crate::Authorizer;
    pub use crate::Challenge;
    pub use crate::Denial;
    pub use crate::Grant;
    pub use crate::Permit;
    pub use crate::Principal;
    pub use crate::Refusal;
    pub use crate::Request;
    pub use crate::Secret;
    pub use crate::SettingsError;
    pub use crate::User;
    pub use crate::settings;
}
