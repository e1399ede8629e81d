//! Redirects plain HTTP to https, with the same host, path and query. Requests aren't authenticated, and no cookie is
//! sent in plain text.

use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
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
use crate::transport::connection::ReceivedBody;
use crate::transport::connection::Service;

/// The service of the listener that redirects to https.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    gateway: Arc<Gateway>,
    https_port: Arc<AtomicU16>,
}

impl Redirect {
    /// `https_port` is the port at which clients reach https. A reload may change it.
    pub(crate) fn new(gateway: Arc<Gateway>, https_port: Arc<AtomicU16>) -> Self {
        Self { gateway, https_port }
    }

    /// The https URL of a request. A host that no route serves is refused, so that the gateway can't be used to
    /// redirect clients to other sites.
    fn location(&self, parts: &Parts) -> Result<HeaderValue, Rejection> {
        let target = Target::of(parts)?;
        if let Some(error) = target.path.irregularity() {
            return Err(Rejection::malformed(error));
        }
        let authority = target.authority.as_deref();
        let authority = authority.ok_or_else(|| Rejection::malformed("the request names no host to redirect to"))?;
        if !self.gateway.generation().serves_host(authority) {
            return Err(Rejection::malformed("no route serves the host"));
        }
        let host = without_port(authority);
        let port = match self.https_port.load(Ordering::Relaxed) {
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

    async fn answer(&self, connection: &Connection, request: Request<ReceivedBody>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let response = match self.location(&parts) {
            Ok(location) => moved(location),
            Err(rejection) => {
                let no_proxies = TrustedProxies::default();
                let client = Client::of(connection.peer, connection.scheme.clone(), &parts.headers, &no_proxies);
                audit::rejected(None, &client, &parts.method, parts.uri.path(), &rejection);
                rejection.into_response()
            }
        };
        response::for_method(&parts.method, response)
    }

    fn reject_head(&self, status: StatusCode, _target: &str) -> Response<Body> {
        response::rejected_head(status)
    }

    fn failure() -> Response<Body> {
        response::failure()
    }
}

/// 308 keeps the method and the body (RFC 9110, section 15.4.9). Without `no-store`, browsers would cache it for ever.
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
    fn the_port_of_a_host_is_removed_and_its_brackets_are_kept() {
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
