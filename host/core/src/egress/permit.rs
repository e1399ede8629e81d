//! Whether a request is within the grants, as far as that is known before its host is looked up.

use http::Method;
use http::Request;
use http::Uri;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::WasiBody;

use super::Egress;
use crate::grants::port;

impl Egress {
    /// Why a request may not be sent, if it may not.
    pub(super) fn denial(&self, request: &Request<WasiBody>) -> Option<(String, Error)> {
        let uri = request.uri();
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            let line = format!("denied: {}: a request has no user name in its URL", server(uri));
            return Some((line, Error::HttpRequestUriInvalid));
        }
        // It would be for a proxy, and its target no path.
        if request.method() == Method::CONNECT {
            let line = format!("denied: {}: the method CONNECT", server(uri));
            return Some((line, Error::HttpRequestMethodInvalid));
        }
        let granted = self.0.grants.http.iter().any(|grant| grant.permits(uri));
        (!granted).then(|| {
            let line = format!("denied: {} is not granted (grants.http)", server(uri));
            (line, Error::HttpRequestDenied)
        })
    }
}

/// Scheme, host and port for a log line; no user name, path or query.
pub(super) fn server(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    port(uri).map_or_else(
        || format!("{scheme}://{host}"),
        |port| format!("{scheme}://{host}:{port}"),
    )
}
