//! The request that authenticators are asked about, as the server in front received it. It is a snapshot: plugins ask
//! it questions through a handle and can't change it.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::uri::Scheme;

/// One HTTP request, without its body.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by the server that received the request")]
pub struct AuthRequest {
    /// The method as sent.
    pub method: Method,
    /// The scheme that the client used, known from the listener or a trusted proxy and never from the client.
    pub scheme: Scheme,
    /// Host and port that the client asked for.
    pub authority: Option<String>,
    /// The path as sent, percent-encoding included.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: Option<String>,
    /// Every header, in order of arrival.
    pub headers: HeaderMap,
    /// The client's address, seen past trusted proxies only.
    pub client_address: Option<IpAddr>,
    /// DER of the leaf certificate that the TLS listener verified.
    pub client_certificate: Option<Bytes>,
    /// What a token is bound to that was made for this very TLS connection: `tls-server-end-point:` and a hash of the
    /// certificate that the listener showed (RFC 5929, section 4). None without TLS, and where a proxy ended it.
    pub channel_binding: Option<Bytes>,
}

impl AuthRequest {
    /// Takes what the head of a request says. Scheme, client address and certificate are the server's to add: a
    /// request's own word on them means nothing.
    pub fn from_parts(parts: &http::request::Parts) -> Self {
        let host = || {
            parts
                .headers
                .get(http::header::HOST)
                .and_then(|host| host.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            method: parts.method.clone(),
            scheme: Scheme::HTTP,
            authority: parts.uri.authority().map(ToString::to_string).or_else(host),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers.clone(),
            client_address: None,
            client_certificate: None,
            channel_binding: None,
        }
    }

    /// The values of one cookie, in order of arrival (RFC 6265, section 5.4).
    pub fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .get_all(http::header::COOKIE)
            .iter()
            .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
            .filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

impl fmt::Debug for AuthRequest {
    /// Leaves out headers and query: they carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
