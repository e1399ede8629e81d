//! The request methods that the gateway serves. CONNECT and TRACE are rejected on every route.

use http::Method;

/// Whether the gateway serves requests with this method. `CONNECT` would open a tunnel, and the response to `TRACE` would
/// show the client the headers that the gateway adds (RFC 9110, section 9.3.8).
pub(crate) fn is_served(method: &Method) -> bool {
    *method != Method::CONNECT && *method != Method::TRACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_and_trace_are_not_served() {
        for (method, served) in [
            (Method::GET, true),
            (Method::OPTIONS, true),
            (Method::from_bytes(b"PROPFIND").unwrap(), true),
            (Method::CONNECT, false),
            (Method::TRACE, false),
        ] {
            assert_eq!(is_served(&method), served, "{method}");
        }
    }
}
