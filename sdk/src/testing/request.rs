//! A request that a test makes up. It answers like the gateway does, and keeps a list of what it was asked.

use std::cell::RefCell;

/// One HTTP request. An authenticator holds a handle, not a copy: each method is a question to the gateway, which
/// answers within what the operator granted and remembers what was asked. Two requests that answer the same questions
/// alike get the same decision, so ask only what you need.
#[derive(Debug, Default)]
pub struct Request {
    parts: Parts,
    asked: RefCell<Vec<String>>,
}

impl Request {
    /// The method as sent: `GET`, `POST`.
    pub fn method(&self) -> String {
        self.note("method");
        self.parts.method.clone()
    }

    /// `http` or `https`, as the client used it.
    pub fn scheme(&self) -> String {
        self.note("scheme");
        self.parts.scheme.clone()
    }

    /// Host and port that the client asked for; none when an HTTP/1.0 client sent none.
    pub fn authority(&self) -> Option<String> {
        self.note("authority");
        self.parts.authority.clone()
    }

    /// The path as sent, percent-encoding included, without the query.
    pub fn path(&self) -> String {
        self.note("path");
        self.parts.path.clone()
    }

    /// The granted parameters of the query, as sent and in order, joined by `&`. None when there are none.
    pub fn query(&self) -> Option<String> {
        self.note("query");
        self.parts.query.clone()
    }

    /// Every value of one header, in order of arrival; the name in any case. Empty when it is absent or not granted.
    pub fn header(&self, name: &str) -> Vec<Vec<u8>> {
        let name = name.to_ascii_lowercase();
        self.note(&format!("header {name}"));
        values(&self.parts.headers, &name)
    }

    /// Every value of one cookie, in order of arrival. Empty when it is absent or not granted. More than one value means
    /// that somebody else could have set one of them: refuse, don't choose.
    pub fn cookie(&self, name: &str) -> Vec<Vec<u8>> {
        self.note(&format!("cookie {name}"));
        values(&self.parts.cookies, name)
    }

    /// The client's IP address, seen past trusted proxies only.
    pub fn client_address(&self) -> Option<String> {
        self.note("client-address");
        self.parts.client_address.clone()
    }

    /// DER of the leaf certificate that the TLS listener verified.
    pub fn client_certificate(&self) -> Option<Vec<u8>> {
        self.note("client-certificate");
        self.parts.client_certificate.clone()
    }

    /// What was asked so far, in order: `method`, `header authorization`, `cookie session`. For tests only.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    fn note(&self, question: &str) {
        self.asked.borrow_mut().push(question.to_owned());
    }
}

/// Makes a [`Request`], part by part.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct RequestBuilder {
    parts: Parts,
}

impl RequestBuilder {
    /// A GET request for this path, sent to `https://gateway.test`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A request of any method for this path, sent to `https://gateway.test`.
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

    /// Replaces `https`.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.parts.scheme = scheme.into();
        self
    }

    /// Replaces `gateway.test`; none for a client that sent none.
    pub fn authority(mut self, authority: impl Into<Option<String>>) -> Self {
        self.parts.authority = authority.into();
        self
    }

    /// Sets the query, encoded and without the question mark.
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

    /// Sets the client's certificate, as DER.
    pub fn client_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.parts.client_certificate = Some(der.into());
        self
    }

    /// The request.
    pub fn build(self) -> Request {
        Request {
            parts: self.parts,
            asked: RefCell::default(),
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
    fn a_request_answers_what_it_was_built_with_and_remembers_the_questions() {
        let request = RequestBuilder::new("POST", "/a%20b")
            .header("X-Key", "1")
            .header("x-key", "2")
            .cookie("Session", "s")
            .client_address("192.0.2.1")
            .build();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.header("X-KEY"), [b"1", b"2"]);
        assert!(request.cookie("session").is_empty(), "the names of cookies have case");
        assert_eq!(request.cookie("Session"), [b"s"]);
        assert_eq!(request.query(), None);
        assert_eq!(
            request.asked(),
            ["method", "header x-key", "cookie session", "cookie Session", "query"]
        );
    }
}
