//! The keys by which requests are compared: the URI and all headers. A response to one credential is therefore never
//! returned for another, in whichever header a server expects its credentials.

use aws_lc_rs::digest::Context;
use aws_lc_rs::digest::SHA256;
use http::HeaderName;
use http::Request;
use http::Uri;
use http::header;

/// A request's URI, and a digest of its headers because they may hold credentials.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) uri: Uri,
    headers: [u8; 32],
}

impl Key {
    /// The key for coalescing: concurrent requests with the same key can share one exchange.
    pub(super) fn of_exchange<B>(request: &Request<B>) -> Self {
        Self::new(request, |_| true)
    }

    /// The key for storing: one stored response can satisfy requests with the same key. The directives about its age
    /// are not part of the key.
    pub(super) fn of_answer<B>(request: &Request<B>) -> Self {
        Self::new(request, |name| {
            *name != header::CACHE_CONTROL && *name != header::PRAGMA
        })
    }

    fn new<B>(request: &Request<B>, counts: impl Fn(&HeaderName) -> bool) -> Self {
        let mut headers = Vec::from_iter(request.headers().iter().filter(|(name, _)| counts(name)));
        // The sort is stable, so that the values of one name keep their order.
        headers.sort_by_key(|(name, _)| name.as_str());
        let mut digest = Context::new(&SHA256);
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                digest.update(&part.len().to_le_bytes());
                digest.update(part);
            }
        }
        let mut key = Self {
            uri: request.uri().clone(),
            headers: [0; 32],
        };
        key.headers.copy_from_slice(digest.finish().as_ref());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&'static str, &'static str)]) -> Request<()> {
        let builder = Request::get(uri);
        let builder = headers
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(()).unwrap()
    }

    #[test]
    fn requests_that_differ_have_different_keys() {
        let one = request("http://a/", &[("x-a", "1"), ("x-b", "2")]);
        for (other, same) in [
            (request("http://a/", &[("x-b", "2"), ("x-a", "1")]), true),
            (request("http://a/?", &[("x-a", "1"), ("x-b", "2")]), false),
            (request("http://a/", &[("x-a", "1")]), false),
            (request("http://a/", &[("x-a", "1"), ("x-b", "3")]), false),
            (request("http://a/", &[("x-a", "1"), ("x-b", "2"), ("x-b", "")]), false),
            (request("http://a/", &[("x-a", "1x-b2")]), false),
        ] {
            assert_eq!(Key::of_exchange(&one) == Key::of_exchange(&other), same, "{other:?}");
        }
    }

    #[test]
    fn directives_about_the_age_are_part_of_the_key_for_coalescing_only() {
        let one = request("http://a/", &[("x-a", "1")]);
        let other = request(
            "http://a/",
            &[("x-a", "1"), ("cache-control", "no-cache"), ("pragma", "no-cache")],
        );
        assert_eq!(Key::of_answer(&one), Key::of_answer(&other));
        assert_ne!(Key::of_exchange(&one), Key::of_exchange(&other));
    }
}
