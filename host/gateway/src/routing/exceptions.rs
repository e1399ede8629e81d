//! Requests whose credentials the upstream verifies itself: those with a configured `Authorization` scheme, on the methods
//! and paths that the route lists. No authenticator is asked, and the request is forwarded anonymously.

use std::fmt;

use http::HeaderMap;
use http::Method;
use http::header;
use portcullis_wire::path::CanonicalPath;

use crate::routing::is_served;
use crate::routing::literal;

/// The exceptions from authentication that a route lists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct UpstreamCredentials(Vec<Exception>);

/// A scheme, and the requests on which the upstream verifies it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Exception {
    pub(crate) scheme: String,
    pub(crate) requests: Vec<RequestPattern>,
}

impl UpstreamCredentials {
    pub(crate) fn new(exceptions: Vec<Exception>) -> Self {
        Self(exceptions)
    }

    /// Whether the route has no exceptions.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the scheme of the exception that a request matches. `None` if the request has to be authenticated.
    pub(crate) fn scheme(&self, method: &Method, path: &CanonicalPath, headers: &HeaderMap) -> Option<&str> {
        // This runs on every request, and most routes have no exceptions.
        if self.is_empty() {
            return None;
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        let is_one = |exception: &&Exception| {
            exception.scheme.eq_ignore_ascii_case(scheme)
                && exception.requests.iter().any(|pattern| pattern.covers(method, path))
        };
        let found = self.0.iter().find(is_one)?;
        (!credentials.trim().is_empty()).then_some(found.scheme.as_str())
    }
}

impl fmt::Display for UpstreamCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Exception { scheme, requests }) in self.0.iter().enumerate() {
            let requests = Vec::from_iter(requests.iter().map(ToString::to_string)).join(", ");
            write!(f, "{}{scheme}: {requests}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// A method and a path in which `*` stands for one segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RequestPattern {
    method: Method,
    /// `None` matches any segment.
    segments: Vec<Option<String>>,
    /// Whether the path ends with a slash.
    is_folder: bool,
}

impl RequestPattern {
    /// Parses a pattern such as `DELETE /api/v1/clusters/*`. Its path must be below the route's path.
    pub(crate) fn parse(text: &str, route: &CanonicalPath) -> Result<Self, String> {
        let example = "expected a method and a path, such as \"DELETE /api/v1/clusters/*\"";
        let (method, path) = text.split_once(' ').ok_or(example)?;
        let method: Method = method.parse().map_err(|_| example)?;
        let is_method = !method.as_str().is_empty() && method.as_str().bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_method || !is_served(&method) {
            return Err(format!("{example}; the method {method} isn't supported"));
        }
        let raw = path;
        let path = CanonicalPath::parse(path).map_err(|error| error.to_string())?;
        if !route.covers(&path) {
            return Err(format!("the path isn't below the route's path, {route}"));
        }
        // Only a `*` that isn't percent-encoded stands for a segment.
        let written = raw.split('/').filter(|segment| !segment.is_empty());
        let segments = path.segments().zip(written).map(|(segment, written)| match written {
            "*" => Ok(None),
            written if written.contains('*') => Err("* can only stand for a whole segment".to_owned()),
            written => match literal::check(&format!("/{written}")) {
                Ok(()) => Ok(Some(segment.to_owned())),
                Err(pattern) => Err(format!("{pattern}; write * for a whole segment")),
            },
        });
        Ok(Self {
            method,
            segments: segments.collect::<Result<_, _>>()?,
            is_folder: path.decoded().ends_with('/'),
        })
    }

    /// Whether a request matches. A path that could be read in two ways never matches.
    fn covers(&self, method: &Method, path: &CanonicalPath) -> bool {
        let mut segments = path.segments();
        let mut expected = self.segments.iter();
        let is_next = |segment: &str| {
            let place = expected.next();
            place.is_some_and(|fixed| fixed.as_ref().is_none_or(|fixed| fixed == segment))
        };
        *method == self.method
            && path.decoded().ends_with('/') == self.is_folder
            && path.depth() == self.segments.len()
            && segments.all(is_next)
            && path.other_readings().next().is_none()
    }
}

impl fmt::Display for RequestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method)?;
        for segment in &self.segments {
            write!(f, "/{}", segment.as_deref().unwrap_or("*"))?;
        }
        f.write_str(if self.is_folder { "/" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: &str = "POST /api/v1/clusters/*/heartbeat";
    const DELETE: &str = "DELETE /api/v1/clusters/*";

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse_with_encoded_slashes(text).unwrap()
    }

    fn passes(method: &Method, asked: &str, authorization: &[&str]) -> bool {
        let pattern = |text| RequestPattern::parse(text, &path("/")).unwrap();
        let exceptions = UpstreamCredentials::new(vec![Exception {
            scheme: "token".to_owned(),
            requests: vec![pattern(HEARTBEAT), pattern(DELETE)],
        }]);
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(
                header::AUTHORIZATION,
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        exceptions.scheme(method, &path(asked), &headers).is_some()
    }

    #[test]
    #[rustfmt::skip]
    fn only_the_listed_methods_and_paths_are_exceptions() {
        let token = &["token x"][..];
        for (method, asked, expected) in [
            (Method::POST, "/api/v1/clusters/a/heartbeat", true),
            (Method::DELETE, "/api/v1/clusters/a", true),
            (Method::DELETE, "/%61pi/v1/clusters/%61", true),
            (Method::GET, "/api/v1/clusters/a/heartbeat", false),
            (Method::GET, "/api/v1/clusters/a", false),
            (Method::POST, "/api/v1/clusters/a", false),
            (Method::DELETE, "/api/v1/clusters/a/heartbeat", false),
            (Method::DELETE, "/api/v1/clusters/", false),
            (Method::DELETE, "/api/v1/clusters", false),
            (Method::DELETE, "/api/v1/clusters/a/", false),
            (Method::DELETE, "/api/v1/clusters/a/b", false),
            (Method::DELETE, "/API/v1/clusters/a", false),
            (Method::POST, "/api/v1/clusters/a/scale", false),
            (Method::POST, "/api/v1/clusters/a/b/heartbeat", false),
            (Method::DELETE, "/x/api/v1/clusters/a", false),
            // A path that two servers could read differently is never an exception.
            (Method::DELETE, "/api/v1/clusters/a;b", false),
            (Method::DELETE, "/api/v1/clusters/a%3Fb", false),
            (Method::DELETE, "/api/v1/clusters/a.", false),
            (Method::DELETE, "/api/v1/clusters/a%2Fb", false),
            (Method::DELETE, "/api/v1%2Fclusters/a", false),
            (Method::POST, "/api/v1/clusters/a/heartbeat;x", false),
        ] {
            assert_eq!(passes(&method, asked, token), expected, "{method} {asked}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn only_a_single_authorization_header_with_the_scheme_is_an_exception() {
        for (sent, expected) in [
            (&["token x"][..], true), (&["Token x"], true), (&["token  x"], true),
            (&[], false), (&[""], false), (&["token"], false), (&["token "], false), (&["token   "], false),
            (&["tokenx y"], false), (&["token\tx"], false), (&["Bearer x"], false), (&["Basic token"], false),
            (&[" token x"], false), (&["token x", "token x"], false), (&["token x", "Bearer y"], false),
            (&["token \u{fc}"], false), (&["Bearer x, token y"], false),
        ] {
            assert_eq!(passes(&Method::DELETE, "/api/v1/clusters/a", sent), expected, "{sent:?}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn an_invalid_pattern_is_rejected() {
        for text in [
            "", "DELETE", "/a", "DELETE a", "delete /a/*", "CONNECT /a", "TRACE /a", "DELETE  /a", "DELETE /a*", "DELETE /a/**",
            "DELETE /a/{id}", "DELETE /a/:id", "DELETE /a/(b|c)",
            "DELETE /a/../b", "DELETE //a", "DELETE /a?b", "DELETE /a/%2F", " /a", "DELETE /b/*", "DELETE /ab", "* /a",
        ] {
            assert!(RequestPattern::parse(text, &path("/a")).is_err(), "{text}");
        }
        for text in [HEARTBEAT, DELETE, "GET /", "GET /a/"] {
            assert_eq!(RequestPattern::parse(text, &path("/")).unwrap().to_string(), text);
        }
        let literal = RequestPattern::parse("DELETE /%2A", &path("/")).unwrap();
        for (asked, expected) in [("/*", true), ("/%2a", true), ("/x", false)] {
            assert_eq!(literal.covers(&Method::DELETE, &path(asked)), expected, "{asked}");
        }
    }
}
