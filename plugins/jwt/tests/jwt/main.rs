//! Tests of the authenticator as the gateway sees it: settings and a request go in, a user or a refusal comes out. The
//! gateway is the fake one of the SDK, with the feature that verifies signatures.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy recognizes test functions, but not their helpers"
)]

mod algorithms;
mod answers;
mod by_id;
mod claims;
mod discovery;
mod examples;
mod gateway;
mod issuers;
mod keys;
mod mint;
mod oracle;
mod providers;
mod settings;
