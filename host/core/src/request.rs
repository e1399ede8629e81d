//! The request that is authenticated, as the server received it. Plugins read its attributes through a handle and can't
//! change it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::uri::Scheme;
use portcullis_wire::cookies;

/// One HTTP request, without its body.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "built by the server that received the request")]
pub struct AuthRequest {
    /// The method.
    pub method: Method,
    /// The scheme that the client used. It comes from the listener or a trusted proxy, never from the client.
    pub scheme: Scheme,
    /// The host and port of the request's target, or of its `Host` header. `None` if the request has neither.
    pub authority: Option<String>,
    /// The path as the client sent it, with percent-encoding.
    pub path: String,
    /// The query as the client sent it, without the question mark. `None` if the target has no question mark.
    pub query: Option<String>,
    /// All header fields. The values of one name are in order of arrival.
    pub headers: HeaderMap,
    /// The client's address; behind a trusted proxy, the one that the proxy reports. `None` if it is unknown.
    pub client_address: Option<IpAddr>,
    /// The client's certificate in DER, as the TLS listener verified it. `None` if the client sent none.
    pub client_certificate: Option<Bytes>,
    /// The channel binding of the TLS connection: `tls-server-end-point:` and a hash of the listener's certificate
    /// (RFC 5929, section 4). `None` without TLS and behind a proxy that terminates TLS.
    pub channel_binding: Option<Bytes>,
    /// The name of the route that serves it. `None` if the server has no routes with names.
    pub route: Option<Arc<str>>,
    /// The request's id in log lines. Plugins don't see it. `None` if the server gives none.
    pub id: Option<String>,
}

impl AuthRequest {
    /// Makes a request from the head of an HTTP request. The scheme is `http`, and client address, certificate,
    /// channel binding, route and id are `None`: the server has to set them, because a client can't be trusted to report them.
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
            route: None,
            id: None,
        }
    }

    /// All values of the cookie of this name, in order of arrival (RFC 6265, section 5.4). They may be any bytes.
    pub fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        cookies::values(&self.headers, name)
    }
}

impl fmt::Debug for AuthRequest {
    /// Omits headers and query, because they carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header;

    use super::*;

    #[test]
    fn all_values_of_a_cookie_are_found_and_no_others() {
        for (fields, expected) in [
            (&[][..], &[][..]),
            (&[&b"a=1"[..]], &[&b"1"[..]]),
            (&[b"b=2; a=1;a=3 ; c=4", b"a=\xff"], &[b"1", b"3", b"\xff"]),
            (&[b"a="], &[b""]),
            (&[b"a=b=c"], &[b"b=c"]),
            (&[b"a; A=1; aa=1; xa=1; b=a=1"], &[]),
        ] {
            let (parts, ()) = http::Request::new(()).into_parts();
            let mut request = AuthRequest::from_parts(&parts);
            for field in fields {
                let field = HeaderValue::from_bytes(field).unwrap();
                request.headers.append(header::COOKIE, field);
            }
            assert_eq!(Vec::from_iter(request.cookies("a")), expected, "{fields:?}");
        }
    }
}
