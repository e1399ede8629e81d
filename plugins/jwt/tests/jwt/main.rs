//! The authenticator as the gateway sees it: settings and a request go in, a user or a refusal comes out. The gateway is
//! the SDK's fake one, which verifies signatures for real.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy only sees of functions"
)]

mod algorithms;
mod answers;
mod claims;
mod discovery;
mod gateway;
mod issuers;
mod keys;
mod mint;
mod oracle;
mod providers;
mod settings;
