//! Parsers and rules for what the gateway reads from and writes to connections. Nothing here needs an HTTP server or a
//! WebAssembly engine, so every parser of outside input can be tested and fuzzed by itself.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "the gateway is the only user of this crate and handles every case"
)]

pub mod client;
pub mod connection_auth;
pub mod content_length;
pub mod cookies;
pub mod forwarded;
pub mod framing;
pub mod header_names;
pub mod hop_by_hop;
pub mod identity_names;
pub mod peer;
pub mod proxy_protocol;
pub mod request_id;
#[cfg(test)]
mod testing;
pub mod tls_error;
mod tolerant_writes;

pub use self::tolerant_writes::TolerantWrites;
pub use portcullis_path as path;
