//! TLS of outbound requests: certificates and keys in PEM files, whom a client trusts, and when certificates expire.

pub mod pem;
mod pins;
pub mod system_verifier;
pub mod trust;
pub mod validity;
