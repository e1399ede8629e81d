//! Requests that tests build. They return what the gateway would return, and record what was read.

use std::cell::RefCell;

/// One HTTP request. A plugin holds a handle, not a copy: each method reads an attribute from the gateway,
/// which returns only what the operator granted and records what was read. The gateway may reuse a decision for
/// requests in which all of that is the same, so read only what you need.
#[derive(Debug, Default)]
pub struct Request {
    parts: Parts,
    read: RefCell<Vec<String>>,
}

impl Request {
    /// The method as sent, such as `GET`.
    pub fn method(&self) -> String {
        self.record("method");
        self.parts.method.clone()
    }

    /// The scheme that the client used: `http` or `https`.
    pub fn scheme(&self) -> String {
        self.record("scheme");
        self.parts.scheme.clone()
    }

    /// The host and the port that the client asked for. `None` if an HTTP/1.0 client sent none.
    pub fn authority(&self) -> Option<String> {
        self.record("authority");
        self.parts.authority.clone()
    }

    /// The path as sent, with percent-encoding and without the query.
    pub fn path(&self) -> String {
        self.record("path");
        self.parts.path.clone()
    }

    /// The granted query parameters, as sent and in order, joined by `&`. `None` if there are none.
    pub fn query(&self) -> Option<String> {
        self.record("query");
        self.parts.query.clone()
    }

    /// Every value of a header, in order of arrival. The name is case-insensitive. Empty if the header is absent or not
    /// granted.
    pub fn header(&self, name: &str) -> Vec<Vec<u8>> {
        let name = name.to_ascii_lowercase();
        self.record(&format!("header {name}"));
        values(&self.parts.headers, &name)
    }

    /// Every value of a cookie, in order of arrival. Empty if the cookie is absent or not granted. If there is more
    /// than one value, someone else may have set one of them: refuse the request instead of choosing.
    pub fn cookie(&self, name: &str) -> Vec<Vec<u8>> {
        self.record(&format!("cookie {name}"));
        values(&self.parts.cookies, name)
    }

    /// The client's IP address. A forwarded address counts only if it comes from a trusted proxy.
    pub fn client_address(&self) -> Option<String> {
        self.record("client-address");
        self.parts.client_address.clone()
    }

    /// The client certificate that the TLS listener verified, in DER.
    pub fn client_certificate(&self) -> Option<Vec<u8>> {
        self.record("client-certificate");
        self.parts.client_certificate.clone()
    }

    /// The route that serves the request, as the gateway's log names it. `None` outside of a gateway.
    pub fn route(&self) -> Option<String> {
        self.record("route");
        self.parts.route.clone()
    }

    /// The attributes that were read so far, in order, such as `method`, `header authorization` or `cookie session`.
    /// For tests only.
    pub fn attributes_read(&self) -> Vec<String> {
        self.read.borrow().clone()
    }

    fn record(&self, attribute: &str) {
        self.read.borrow_mut().push(attribute.to_owned());
    }
}

/// Builds a [`Request`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct RequestBuilder {
    parts: Parts,
}

impl RequestBuilder {
    /// Starts a GET request for this path, sent to `https://gateway.test`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Starts a request of any method for this path, sent to `https://gateway.test`.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            parts: Parts {
                method: method.into(),
                scheme: "https".to_owned(),
                authority: Some("gateway.test".to_owned()),
                path: path.into(),
                ..Parts::default()
            },
        }
    }

    /// Sets the scheme. Default: `https`.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.parts.scheme = scheme.into();
        self
    }

    /// Sets the host and the port, or `None` for a client that sent none. Default: `gateway.test`.
    pub fn authority(mut self, authority: impl Into<Option<String>>) -> Self {
        self.parts.authority = authority.into();
        self
    }

    /// Sets the query, percent-encoded and without the question mark.
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.parts.query = Some(query.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        self.parts
            .headers
            .push((name.as_ref().to_ascii_lowercase(), value.as_ref().to_owned()));
        self
    }

    /// Adds a cookie.
    pub fn cookie(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.parts.cookies.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets the client's IP address.
    pub fn client_address(mut self, address: impl Into<String>) -> Self {
        self.parts.client_address = Some(address.into());
        self
    }

    /// Sets the client's certificate, in DER.
    pub fn client_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.parts.client_certificate = Some(der.into());
        self
    }

    /// Sets the name of the route, such as `/api`. Default: `None`.
    pub fn route(mut self, name: impl Into<String>) -> Self {
        self.parts.route = Some(name.into());
        self
    }

    /// Builds the request.
    pub fn build(self) -> Request {
        Request {
            parts: self.parts,
            read: RefCell::default(),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Parts {
    method: String,
    scheme: String,
    authority: Option<String>,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    cookies: Vec<(String, Vec<u8>)>,
    client_address: Option<String>,
    client_certificate: Option<Vec<u8>>,
    route: Option<String>,
}

fn values(pairs: &[(String, Vec<u8>)], name: &str) -> Vec<Vec<u8>> {
    pairs
        .iter()
        .filter(|(given, _)| given == name)
        .map(|(_, value)| value.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_returns_its_attributes_and_records_what_was_read() {
        let request = RequestBuilder::new("POST", "/a%20b")
            .header("X-Key", "1")
            .header("x-key", "2")
            .cookie("Session", "s")
            .client_address("192.0.2.1")
            .build();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.header("X-KEY"), [b"1", b"2"]);
        assert!(request.cookie("session").is_empty(), "cookie names are case-sensitive");
        assert_eq!(request.cookie("Session"), [b"s"]);
        assert_eq!(request.query(), None);
        assert_eq!(
            request.attributes_read(),
            ["method", "header x-key", "cookie session", "cookie Session", "query"]
        );
    }
}
