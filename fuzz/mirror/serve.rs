//! The modules of the gateway that read forwarded headers, under the names by which they know each other.

#[path = "../../host/gateway/src/serve/client.rs"]
pub(crate) mod client;
#[path = "headers.rs"]
pub(crate) mod headers;
