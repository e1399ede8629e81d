//! Signed tokens (RFC 7519), for the plugins that read them: `jwt` and `oidc`. Both verify them and make users of their claims by the
//! code here, so that a setting of the same name means the same in both.
//!
//! The modules, in the order in which a token passes them: `jws` parses it, `issuer_name` says whose it may be, `keys` verify the
//! signature, `claims` are checked, and `identity` makes the user of them. Any failure is an `error`.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "only the plugins beside this crate use it"
)]

pub mod algorithm;
pub mod claims;
pub mod error;
pub mod identity;
pub mod issuer_name;
pub mod jws;
pub mod keys;
pub mod text;
