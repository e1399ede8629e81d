//! What Envoy is told about a request: `envoy.service.auth.v3.CheckResponse`.

use crate::HeaderValue;

/// The answer to a check: `envoy.service.auth.v3.CheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckResponse {
    /// Whether the request may pass: `OK`, or any other code.
    #[prost(message, optional, tag = "1")]
    pub status: Option<RpcStatus>,
    /// What becomes of the request.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

/// A code of gRPC: `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    /// The code's number.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// What becomes of a request.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum HttpResponse {
    /// The client gets this response.
    #[prost(message, tag = "2")]
    DeniedResponse(DeniedHttpResponse),
    /// The request passes, changed in this way.
    #[prost(message, tag = "3")]
    OkResponse(OkHttpResponse),
}

/// What a client gets whose request doesn't pass: `envoy.service.auth.v3.DeniedHttpResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeniedHttpResponse {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// The headers.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// The body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// How a request that passes is changed: `envoy.service.auth.v3.OkHttpResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OkHttpResponse {
    /// The headers that the request gets.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// The headers that the request loses.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
    /// The headers that the upstream's response gets.
    #[prost(message, repeated, tag = "6")]
    pub response_headers_to_add: Vec<HeaderValueOption>,
    /// The parameters that the query loses.
    #[prost(string, repeated, tag = "8")]
    pub query_parameters_to_remove: Vec<String>,
}

/// A status of HTTP: `envoy.type.v3.HttpStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpStatus {
    /// The status code.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// A header, and how it is set: `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// What happens to headers of the same name, a [`HeaderAppendAction`].
    #[prost(enumeration = "HeaderAppendAction", tag = "3")]
    pub append_action: i32,
}

/// What happens to headers of the same name: `envoy.config.core.v3.HeaderValueOption.HeaderAppendAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum HeaderAppendAction {
    /// They stay, and the header comes after them.
    AppendIfExistsOrAdd = 0,
    /// They stay, and the header is dropped.
    AddIfAbsent = 1,
    /// The header replaces them.
    OverwriteIfExistsOrAdd = 2,
    /// The header replaces them. It is dropped if there are none.
    OverwriteIfExists = 3,
}
