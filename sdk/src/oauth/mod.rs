//! OAuth 2.0 and the discovery of OpenID Connect, for plugins that log people in: the authorization code flow with PKCE (RFC 6749,
//! section 4.1; RFC 7636; RFC 9700).
//!
//! [`Provider`] says where the provider is, [`Client`] who we are there. [`Attempt`] is what has to be the same at the beginning
//! and at the end of a flow.
//!
//! ```no_run
//! use portcullis_sdk::Departure;
//! use portcullis_sdk::Flow;
//! use portcullis_sdk::Parameters;
//! use portcullis_sdk::Refusal;
//! use portcullis_sdk::oauth::Attempt;
//! use portcullis_sdk::oauth::Client;
//! use portcullis_sdk::oauth::Provider;
//! use portcullis_sdk::oauth::Tokens;
//!
//! fn begin(provider: &Provider, client: &Client, flow: &Flow) -> Departure {
//!     let attempt = Attempt::new();
//!     let request = provider.authorization_request(client, flow, &attempt);
//!     Departure::to(request.scope("openid").url()).with_memo(attempt.to_memo())
//! }
//!
//! fn finish(provider: &Provider, client: &Client, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Tokens, Refusal> {
//!     let attempt = Attempt::from_memo(memo)?;
//!     let code = provider.code(parameters)?;
//!     Ok(client.exchange(provider, flow, &attempt, code)?)
//! }
//! ```

mod assertion;
mod callback;
mod client;
mod error;
mod provider;
mod request;
#[cfg(test)]
mod tests;

pub use assertion::ClientKey;
pub use client::Client;
pub use client::ClientAuthentication;
pub use client::Tokens;
pub use error::OAuthError;
pub use provider::Provider;
pub use request::Attempt;
pub use request::AuthorizationRequest;
pub use request::with_query;
