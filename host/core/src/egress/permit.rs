//! Checks a request against the grants before its host is resolved. The addresses of the host are checked by the
//! resolver.

use http::Method;
use http::Request;
use http::Uri;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::WasiBody;

use super::Egress;
use crate::grants::port;

impl Egress {
    /// Why a request may not be sent: a log line and the error for the plugin. `None` if a grant covers it.
    pub(super) fn denial(&self, request: &Request<WasiBody>) -> Option<(String, Error)> {
        let uri = request.uri();
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            let line = format!("denied: {}: its URL has a user name", server(uri));
            return Some((line, Error::HttpRequestUriInvalid));
        }
        // CONNECT opens a tunnel, and its target has no path to check.
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

/// Scheme, host and port for a log line, without user name, path and query.
pub(super) fn server(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    port(uri).map_or_else(
        || format!("{scheme}://{host}"),
        |port| format!("{scheme}://{host}:{port}"),
    )
}
