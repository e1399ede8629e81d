//! Envoy's external authorization over gRPC: `envoy.service.auth.v3.Authorization/Check`. The messages have the fields
//! that Portcullis reads and writes; a crate with all of Envoy's API takes a minute to compile.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "messages are made and read field by field"
)]

mod request;
mod response;
mod server;
#[cfg(test)]
mod tests;

pub use request::Address;
pub use request::AddressKind;
pub use request::AttributeContext;
pub use request::CheckRequest;
pub use request::HttpRequest;
pub use request::Peer;
pub use request::Pipe;
pub use request::Request;
pub use request::SocketAddress;
pub use response::CheckResponse;
pub use response::DeniedHttpResponse;
pub use response::HeaderAppendAction;
pub use response::HeaderValueOption;
pub use response::HttpResponse;
pub use response::HttpStatus;
pub use response::OkHttpResponse;
pub use response::RpcStatus;
pub use server::Authorization;
pub use server::AuthorizationServer;
pub use server::CHECK;

/// A header: `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderValue {
    /// The name, in lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value as text.
    #[prost(string, tag = "2")]
    pub value: String,
    /// The value as bytes. Only one of the two is set.
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// A list of headers: `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderMap {
    /// The headers, each by itself.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}
