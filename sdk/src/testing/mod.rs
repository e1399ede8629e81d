//! Tests a plugin without a gateway. The test builds the requests and makes up the users, and a fake gateway takes the place of
//! the cache, the clock, the log and other servers.
//!
//! ```
//! use std::time::Duration;
//!
//! use portcullis_sdk::Response;
//! use portcullis_sdk::testing::FakeHost;
//! use portcullis_sdk::testing::RequestBuilder;
//!
//! let host = FakeHost::start();
//! host.answer("https://id.example.org/keys", Response::new(200).with_body("{}"));
//! assert_eq!(portcullis_sdk::http::get("https://id.example.org/keys").send().unwrap().body, b"{}");
//! assert_eq!(host.requests().len(), 1);
//!
//! let request = RequestBuilder::get("/api").header("authorization", "Bearer abc").build();
//! assert_eq!(request.bearer().unwrap().as_str(), "abc");
//! ```
//!
//! With the feature `testing`, the fake gateway verifies signatures and passwords.
//!
//! A request that a test builds shows all that it has, as if every header, cookie and query parameter were granted. What a plugin
//! does with the grants of a file is seen by `portcullis plugin test`.

mod clock;
mod host;
#[cfg(feature = "testing")]
mod openid;
#[cfg(feature = "testing")]
mod passwords;
mod provider;
mod request;
#[cfg(feature = "testing")]
mod signatures;

pub(crate) mod imports;

use crate::Authenticator;
use crate::Authorizer;

pub use host::FakeHost;
pub use host::SentRequest;
pub use provider::FakeProvider;
pub use request::Request;
pub use request::RequestBuilder;

/// Makes an authenticator from settings in JSON, as the gateway does.
///
/// # Errors
///
/// Returns the text that the operator would read.
pub fn configure<A: Authenticator>(settings: &str) -> Result<A, String> {
    crate::configured::configured(settings, A::new)
}

/// Makes an authorizer from settings in JSON, as the gateway does.
///
/// # Errors
///
/// Returns the text that the operator would read.
pub fn configure_authorizer<A: Authorizer>(settings: &str) -> Result<A, String> {
    crate::configured::configured(settings, A::new)
}
