//! From plain HTTP to https: the same host, path and query, and nothing else. Nobody is asked who the client is, and no
//! cookie is set where everybody could read it.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use hyper::body::Incoming;
use portcullis_wire::client::Client;
use portcullis_wire::peer::TrustedProxies;

use crate::answers::response;
use crate::pipeline::Gateway;
use crate::pipeline::Rejection;
use crate::pipeline::audit;
use crate::pipeline::target::Target;
use crate::proxy::body;
use crate::proxy::body::Body;
use crate::transport::connection::Connection;
use crate::transport::connection::Service;

/// What a listener for plain HTTP answers.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    gateway: Arc<Gateway>,
    https_port: u16,
}

impl Redirect {
    /// `https_port`: where clients find https.
    pub(crate) fn new(gateway: Arc<Gateway>, https_port: u16) -> Self {
        Self { gateway, https_port }
    }

    /// Where a request should have gone. A host that no route serves is refused, so that nobody is led elsewhere by the
    /// gateway's word.
    fn location(&self, parts: &Parts) -> Result<HeaderValue, Rejection> {
        let target = Target::of(parts)?;
        let authority = target.authority.as_deref();
        let authority = authority.ok_or_else(|| Rejection::malformed("the request names no host to lead to"))?;
        if !self.gateway.generation().serves_host(authority) {
            return Err(Rejection::malformed("no route serves the host"));
        }
        let host = without_port(authority);
        let port = match self.https_port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let path = target.path.as_str();
        let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
        HeaderValue::try_from(format!("https://{host}{port}{path}{query}"))
            .map_err(|_| Rejection::malformed("the query has a character that must be percent-encoded"))
    }
}

impl Service for Redirect {
    type Body = Body;

    async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let response = match self.location(&parts) {
            Ok(location) => moved(location),
            Err(rejection) => {
                let nobody = TrustedProxies::default();
                let client = Client::of(connection.peer, connection.scheme.clone(), &parts.headers, &nobody);
                audit::rejected(&client, &parts.method, parts.uri.path(), &rejection);
                rejection.into_response()
            }
        };
        response::for_method(&parts.method, response)
    }

    fn failure() -> Response<Body> {
        response::failure()
    }
}

/// 308 keeps the method and the body (RFC 9110, section 15.4.9). Browsers would keep the answer for ever if they might.
fn moved(location: HeaderValue) -> Response<Body> {
    let mut response = Response::new(body::full(Bytes::new()));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The host of a well-formed authority, an IPv6 address with its brackets.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_brackets_and_loses_its_port() {
        for (authority, host) in [
            ("app.example", "app.example"),
            ("app.example:80", "app.example"),
            ("app.example:", "app.example"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("127.0.0.1:80", "127.0.0.1"),
        ] {
            assert_eq!(without_port(authority), host);
        }
    }
}
