//! Requests to other servers, to those only that the operator granted. Everything is bounded: the time, the size of the
//! answer; and no redirect is followed but to the same server, if you ask for that.
//!
//! ```no_run
//! # fn main() -> Result<(), portcullis_sdk::http::HttpError> {
//! let answer = portcullis_sdk::http::get("https://id.example.org/keys").header("accept", "application/json").send()?;
//! assert_eq!(answer.status, 200);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use crate::Response;
use crate::host;
use crate::url::Url;

/// A GET request to this URL, to be completed and sent.
pub fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest {
        url: url.into(),
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        max_body: 1024 * 1024,
        redirects: 0,
    }
}

/// A request to another server.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct HttpRequest {
    pub(crate) url: String,
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

    /// How long the whole exchange may take, redirects included, up to the last byte of the answer. Default: 5 seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many bytes the body of the answer may have. Default: 1 MiB.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Follows so many redirects as long as they lead to the same server: scheme, host and port. Every header is sent
    /// again. Default: none.
    pub const fn same_origin_redirects(mut self, redirects: u8) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sends the request and waits for the whole answer, whatever its status. A redirect that isn't followed is an
    /// answer too.
    ///
    /// # Errors
    ///
    /// When there is no complete answer within the bounds; see [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        let deadline = host::Deadline::after(self.timeout);
        let invalid =
            || HttpError::Invalid("the URL must be absolute, of http or https, without a user name".to_owned());
        let mut url = Url::parse(&self.url).ok_or_else(invalid)?;
        for _ in 0..self.redirects {
            let answer = host::send(&self, &url, &deadline)?;
            match redirect(&url, &answer) {
                Some(target) => url = target,
                None => return Ok(answer),
            }
        }
        host::send(&self, &url, &deadline)
    }
}

/// Where an answer to a GET request sends us, if that is the same server (RFC 9110, section 15.4).
fn redirect(url: &Url, answer: &Response) -> Option<Url> {
    let location = answer
        .header("location")
        .filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308))?;
    url.same_origin_location(std::str::from_utf8(location).ok()?)
}

/// Headers may hold a token, so they are left out.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why another server gave no answer. None of the texts holds a header or a body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The operator did not grant this server, or it resolves to an address that is forbidden.
    #[error("the operator has not granted access to this server")]
    Denied,
    /// The URL or a header can't be sent.
    #[error("the request can't be sent: {0}")]
    Invalid(String),
    /// The answer was not complete in time.
    #[error("no complete answer in time")]
    TimedOut,
    /// The body of the answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The server can't be reached, or broke off.
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
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
    fn a_url_that_is_none_is_not_sent() {
        let host = FakeHost::start();
        assert!(matches!(get("hub/api").send(), Err(HttpError::Invalid(_))));
        assert!(host.requests().is_empty());
    }

    #[test]
    fn a_request_does_not_show_its_headers() {
        let shown = format!("{:?}", get("http://a/").header("authorization", "token hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
