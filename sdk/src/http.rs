//! Sends requests to the servers that the operator granted. Their duration and the sizes of requests and responses are
//! limited, and redirects are followed only on request and only to the same server.
//!
//! The gateway may answer a GET request from its cache, as the server's `Cache-Control` allows, and concurrent
//! identical requests share one response. [`HttpRequest::fresh`] asks for a newer response.
//!
//! ```no_run
//! # fn main() -> Result<(), portcullis_sdk::http::HttpError> {
//! let response = portcullis_sdk::http::get("https://id.example.org/keys")
//!     .header("accept", "application/json")
//!     .send()?;
//! assert_eq!(response.status, 200);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use crate::Response;
use crate::host;
use crate::url::Url;

/// The largest body of a request, in bytes. The gateway sends no larger ones.
const MAX_REQUEST: usize = 1024 * 1024;

/// Starts a GET request to this URL.
pub fn get(url: impl Into<String>) -> HttpRequest {
    request(Method::Get, url.into())
}

/// Starts a POST request to this URL, for example for token introspection (RFC 7662).
///
/// ```no_run
/// # fn main() -> Result<(), portcullis_sdk::http::HttpError> {
/// let response = portcullis_sdk::http::post("https://id.example.org/introspect")
///     .body("token=abc", "application/x-www-form-urlencoded")
///     .send()?;
/// # Ok(())
/// # }
/// ```
pub fn post(url: impl Into<String>) -> HttpRequest {
    request(Method::Post, url.into())
}

fn request(method: Method, url: String) -> HttpRequest {
    HttpRequest {
        method,
        url,
        body: Vec::new(),
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        max_body: 1024 * 1024,
        redirects: 0,
    }
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to another server.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
    redirects: u8,
}

impl HttpRequest {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, at most 1 MiB, and its content type, such as `application/x-www-form-urlencoded`. Only POST
    /// requests have a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>, content_type: impl Into<String>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type.into())
    }

    /// Asks for a response that is newer than the one in the gateway's cache. The operator's `http_refresh_floor` is
    /// the minimum interval between two such requests; within it, the cached response is returned.
    pub fn fresh(self) -> Self {
        self.header("cache-control", "no-cache")
    }

    /// Limits the duration of the whole exchange, redirects included, up to the last byte of the response. Default: 5
    /// seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Limits the size of the response body. Default: 1 MiB.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Follows up to `redirects` redirects to the same server, that is, the same scheme, host and port. Every header is
    /// sent again. A POST request follows only 307 and 308, which allow it to be sent again. Default: 0.
    pub const fn same_origin_redirects(mut self, redirects: u8) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sends the request and waits for the complete response, whatever its status. A redirect that isn't followed is
    /// returned as the response.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no complete response within the limits; see [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        let deadline = host::Deadline::after(self.timeout);
        let invalid =
            || HttpError::Invalid("the URL must be an absolute http or https URL without a user name".to_owned());
        if self.method == Method::Get && !self.body.is_empty() {
            return Err(HttpError::Invalid("a GET request has no body".to_owned()));
        }
        if self.body.len() > MAX_REQUEST {
            return Err(HttpError::Invalid("the body is larger than 1 MiB".to_owned()));
        }
        let mut url = Url::parse(&self.url).ok_or_else(invalid)?;
        for _ in 0..self.redirects {
            let answer = host::send(&self, &url, &deadline)?;
            match redirect(self.method, &url, &answer) {
                Some(target) => url = target,
                None => return Ok(answer),
            }
        }
        host::send(&self, &url, &deadline)
    }
}

/// The target of a redirect, if it is on the same server (RFC 9110, section 15.4).
fn redirect(method: Method, url: &Url, answer: &Response) -> Option<Url> {
    let again = match method {
        Method::Get => matches!(answer.status, 301 | 302 | 303 | 307 | 308),
        Method::Post => matches!(answer.status, 307 | 308),
    };
    let location = answer.header("location").filter(|_| again)?;
    url.same_origin_location(std::str::from_utf8(location).ok()?)
}

/// Omits the headers, since they may contain a token.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why there is no response from another server. No text contains a header or a body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The operator has not granted this server, or it resolves to a forbidden address.
    #[error("the operator has not granted access to this server")]
    Denied,
    /// The URL or a header can't be sent.
    #[error("the request can't be sent: {0}")]
    Invalid(String),
    /// The call has sent as many requests as it may, or too many of this authenticator are in flight.
    #[error("not sent: a call may send 64 requests, and an authenticator may have 64 in flight")]
    Limited,
    /// The response was not complete in time.
    #[error("no complete answer in time")]
    TimedOut,
    /// The body of the response is larger than this many bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The server can't be reached.
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
    /// The response is incomplete, isn't HTTP, or exceeds a bound of the gateway.
    #[error("the answer can't be used: {0}")]
    Unusable(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    fn host_with_redirects() -> FakeHost {
        let host = FakeHost::start();
        host.answer("http://a/1", Response::new(302).with_header("Location", "/2"));
        host.answer("http://a/2", Response::new(307).with_header("Location", "http://a/3"));
        host.answer("http://a/3", Response::new(302).with_header("Location", "http://b/"));
        host
    }

    #[test]
    fn redirects_are_followed_on_the_same_server_only_and_with_every_header() {
        let host = host_with_redirects();
        let answer = get("http://a/1")
            .header("authorization", "token t")
            .same_origin_redirects(9)
            .send()
            .unwrap();
        assert_eq!(
            answer.header("location"),
            Some(&b"http://b/"[..]),
            "the redirect elsewhere is the answer"
        );
        let sent = host.requests();
        let urls: Vec<_> = sent.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(urls, ["http://a/1", "http://a/2", "http://a/3"]);
        assert!(
            sent.iter()
                .all(|request| request.header("authorization").as_deref() == Some("token t"))
        );
    }

    #[test]
    fn no_more_redirects_are_followed_than_allowed() {
        let host = host_with_redirects();
        assert_eq!(get("http://a/1").send().unwrap().status, 302);
        assert_eq!(host.requests().len(), 1);
        assert_eq!(get("http://a/1").same_origin_redirects(1).send().unwrap().status, 307);
        assert_eq!(host.requests().len(), 3);
    }

    #[test]
    fn a_body_is_sent_again_only_by_redirects_that_allow_it() {
        let host = FakeHost::start();
        host.answer("http://a/1", Response::new(308).with_header("Location", "/2"));
        host.answer("http://a/2", Response::new(303).with_header("Location", "/3"));
        let request = post("http://a/1").body("token=t", "application/x-www-form-urlencoded");
        assert_eq!(request.same_origin_redirects(9).send().unwrap().status, 303);
        let sent = host.requests();
        assert_eq!(sent.len(), 2);
        for request in sent {
            assert_eq!(
                (request.method.as_str(), request.body.as_slice()),
                ("POST", &b"token=t"[..])
            );
            let kind = request.header("content-type");
            assert_eq!(kind.as_deref(), Some("application/x-www-form-urlencoded"));
        }
    }

    #[test]
    fn a_body_that_is_not_allowed_is_not_sent() {
        let host = FakeHost::start();
        host.serve(|_| Ok(Response::new(200)));
        let large = vec![0; 1024 * 1024 + 1];
        assert!(matches!(
            post("http://a/").body(large, "x/y").send(),
            Err(HttpError::Invalid(_))
        ));
        assert!(matches!(
            get("http://a/").body("x", "x/y").send(),
            Err(HttpError::Invalid(_))
        ));
        assert!(host.requests().is_empty());
        assert!(post("http://a/").body(vec![0; 1024 * 1024], "x/y").send().is_ok());
    }

    #[test]
    fn fresh_sends_cache_control_no_cache() {
        let host = FakeHost::start();
        host.answer("http://a/", Response::new(200));
        get("http://a/").fresh().send().unwrap();
        let [sent] = host.requests().try_into().unwrap();
        assert_eq!(sent.header("cache-control").as_deref(), Some("no-cache"));
        assert_eq!(sent.method, "GET");
    }

    #[test]
    fn a_request_to_a_malformed_url_is_not_sent() {
        let host = FakeHost::start();
        assert!(matches!(get("hub/api").send(), Err(HttpError::Invalid(_))));
        assert!(host.requests().is_empty());
    }

    #[test]
    fn debug_output_of_a_request_omits_its_headers() {
        let shown = format!("{:?}", get("http://a/").header("authorization", "token hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
