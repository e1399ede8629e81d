//! What Envoy says about a request: `envoy.service.auth.v3.CheckRequest`. A field that isn't listed here is skipped when
//! a message is read.

use std::collections::HashMap;

use crate::HeaderMap;

/// What Envoy asks: `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckRequest {
    /// What is known about the request.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// What is known about a request: `envoy.service.auth.v3.AttributeContext`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeContext {
    /// Where the request comes from.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request itself.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
}

/// One end of a connection: `envoy.service.auth.v3.AttributeContext.Peer`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// An address: `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Address {
    /// The address, of one kind or another. `None` also for a kind that isn't listed here.
    #[prost(oneof = "AddressKind", tags = "1, 2")]
    pub address: Option<AddressKind>,
}

/// The kinds of addresses.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AddressKind {
    /// An IP address and a port.
    #[prost(message, tag = "1")]
    SocketAddress(SocketAddress),
    /// A Unix domain socket.
    #[prost(message, tag = "2")]
    Pipe(Pipe),
}

/// An IP address with a port: `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SocketAddress {
    /// The IP address as text.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// A Unix domain socket: `envoy.config.core.v3.Pipe`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pipe {
    /// Its path. It starts with `@` for an abstract socket.
    #[prost(string, tag = "1")]
    pub path: String,
}

/// A request of some protocol: `envoy.service.auth.v3.AttributeContext.Request`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// The request if the protocol is HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// An HTTP request: `envoy.service.auth.v3.AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpRequest {
    /// The method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The headers. Envoy joins those of the same name by commas, and replaces what isn't UTF-8.
    #[prost(map = "string, string", tag = "3")]
    pub headers: HashMap<String, String>,
    /// The path with the query, as the client sent it.
    #[prost(string, tag = "4")]
    pub path: String,
    /// `Host` or `:authority`.
    #[prost(string, tag = "5")]
    pub host: String,
    /// `http` or `https`.
    #[prost(string, tag = "6")]
    pub scheme: String,
    /// The body, if Envoy is configured to send it.
    #[prost(bytes = "vec", tag = "12")]
    pub raw_body: Vec<u8>,
    /// The headers one by one, in place of `headers`, if Envoy's `encode_raw_headers` is true.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}
