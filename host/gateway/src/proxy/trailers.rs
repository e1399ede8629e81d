//! Trailers, which are fields after a body. A trailer is passed on only if it can't change the meaning of the message,
//! even if a recipient merges it with the headers (RFC 9110, section 6.5.1).

use std::collections::HashSet;

use http::HeaderMap;
use http::HeaderName;
use portcullis_wire::header_names::fold;
use portcullis_wire::header_names::remove_where;
use portcullis_wire::identity_names::IdentityNames;

/// Fields that a client may not send as trailers, because they name the user or can carry credentials.
#[derive(Debug, Default)]
pub(crate) struct ForbiddenTrailers {
    identity: IdentityNames,
    credentials: HashSet<String>,
}

impl ForbiddenTrailers {
    /// Forbids identity headers, and the headers that carry the credentials of any route.
    pub(crate) fn new<'a>(identity: IdentityNames, credentials: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let credentials = credentials.into_iter();
        Self {
            identity,
            credentials: credentials.map(|name| fold(name).into_owned()).collect(),
        }
    }

    /// Removes the forbidden trailers of a request.
    pub(super) fn clean_request(&self, trailers: &mut HeaderMap) {
        remove_where(trailers, |name| {
            self.identity.contains(name) || self.credentials.contains(fold(name).as_ref()) || is_forbidden(name)
        });
    }
}

/// Removes the forbidden trailers of a response.
pub(super) fn clean_response(trailers: &mut HeaderMap) {
    remove_where(trailers, is_forbidden);
}

/// Whether a field frames, routes, authenticates, modifies or describes its message, in any spelling. `Content-Digest`
/// is allowed, since it is designed for trailers (RFC 9530, section 2).
fn is_forbidden(name: &HeaderName) -> bool {
    let name = fold(name);
    let has_prefix = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    NAMES.contains(&name.as_ref()) || (has_prefix && name != "content-digest")
}

const NAMES: [&str; 34] = [
    "accept",
    "age",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-real-ip",
    "true-client-ip",
];

const PREFIXES: [&str; 12] = [
    "accept-",
    "access-control-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "x-envoy-",
    "x-forwarded-",
    "x-http-method",
    "x-method-override",
    "x-original-",
    "x-rewrite-",
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn left(forbidden: &ForbiddenTrailers, names: &[&str]) -> Vec<String> {
        let mut trailers = HeaderMap::new();
        for name in names {
            trailers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("x"));
        }
        forbidden.clean_request(&mut trailers);
        trailers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn trailers_that_belong_in_the_head_are_removed() {
        let forbidden = ForbiddenTrailers {
            identity: IdentityNames::new([&HeaderName::from_static("x-my-user")]),
            credentials: HashSet::from(["x-api-key".to_owned()]),
        };
        let none = [
            "x-my_user",
            "x-forwarded-user",
            "remote.user",
            "x-api-key",
            "x_api_key",
            "authorization",
            "cookie",
            "host",
            "content-length",
            "transfer-encoding",
            "te",
            "trailer",
            "x-forwarded-for",
            "x_forwarded_host",
            "forwarded",
            "if-match",
            "x-http-method-override",
            "x-original-url",
            "x-portcullis-token",
        ];
        assert_eq!(left(&forbidden, &none), [""; 0]);
        let all = ["grpc-status", "grpc-message", "x-checksum", "etag", "content-digest"];
        assert_eq!(left(&forbidden, &all), all);
    }
}
