//! The header fields that an authenticator and a session add to a response. The library's layer and the gateway apply
//! the same rule, to responses of any status.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use crate::login::Arrival;

/// Header fields that an [`Admission`](super::Admission) adds to the response.
#[derive(Clone, Debug, Default)]
pub struct ResponseHeaders {
    pub(super) authenticator: HeaderMap,
    pub(super) session: Option<HeaderValue>,
}

impl ResponseHeaders {
    /// The fields of the response that ends an attempt to log in, with the `Set-Cookie` value of the session.
    pub fn of_arrival(arrival: &Arrival, session: HeaderValue) -> Self {
        Self {
            authenticator: arrival.authenticated().response_headers().clone(),
            session: Some(session),
        }
    }

    /// Writes the fields into the head of a response.
    ///
    /// A field of the authenticator replaces the application's fields of the same name. `Set-Cookie` and
    /// `WWW-Authenticate` are appended instead, because each of their fields stands for itself (RFC 6265, section 3;
    /// RFC 9110, section 11.6.1).
    ///
    /// A response with a session cookie becomes `Cache-Control: private` unless it is `no-store`, and loses the fields
    /// that override `Cache-Control` in the caches of servers and content delivery networks (RFC 9213). Otherwise a
    /// shared cache could give the session to other clients.
    pub fn apply(self, headers: &mut HeaderMap) {
        for name in self.authenticator.keys().filter(|name| !APPENDED.contains(name)) {
            headers.remove(name);
        }
        for (name, value) in &self.authenticator {
            headers.append(name, value.clone());
        }
        if let Some(cookie) = self.session {
            headers.append(header::SET_COOKIE, cookie);
            keep_from_shared_caches(headers);
        }
    }
}

const APPENDED: [HeaderName; 2] = [header::SET_COOKIE, header::WWW_AUTHENTICATE];

/// Keeps shared caches from storing a response (RFC 9111, section 5.2.2.7).
fn keep_from_shared_caches(headers: &mut HeaderMap) {
    let overriding = Vec::from_iter(headers.keys().filter(|name| overrides(name)).cloned());
    for name in overriding {
        headers.remove(name);
    }
    let fields = headers.get_all(header::CACHE_CONTROL).iter();
    let directives = Vec::from_iter(fields.flat_map(|field| directives(field.as_bytes())));
    // A cache that understands the status ignores `no-store` beside `must-understand` (RFC 9111, section 5.2.2.3).
    if has(&directives, "no-store") && !has(&directives, "must-understand") {
        return;
    }
    // `private` takes precedence over these, but not every cache reads all directives.
    let kept = directives
        .into_iter()
        .filter(|directive| !["private", "public", "s-maxage"].iter().any(|name| is(directive, name)));
    let written = Vec::from_iter(std::iter::once(&b"private"[..]).chain(kept)).join(&b", "[..]);
    let written = HeaderValue::from_bytes(&written).unwrap_or(HeaderValue::from_static("no-store"));
    headers.insert(header::CACHE_CONTROL, written);
}

/// Whether some caches read this field instead of `Cache-Control`: the targeted fields of RFC 9213, and the fields that
/// servers and content delivery networks used before them.
fn overrides(name: &HeaderName) -> bool {
    name.as_str().ends_with("-cache-control")
        || ["edge-control", "surrogate-control", "x-accel-expires"].contains(&name.as_str())
}

/// The directives of a `Cache-Control` field. A comma in a quoted string is no separator (RFC 9110, section 5.6.4).
fn directives(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = move |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => return *byte == b',' && !quoted,
        }
        false
    };
    field
        .split(separates)
        .map(<[u8]>::trim_ascii)
        .filter(|directive| !directive.is_empty())
}

fn has(directives: &[&[u8]], name: &str) -> bool {
    directives.iter().any(|directive| is(directive, name))
}

fn is(directive: &[u8], name: &str) -> bool {
    let end = directive.iter().position(|byte| *byte == b'=');
    let own = directive.get(..end.unwrap_or(directive.len())).unwrap_or_default();
    own.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(added: ResponseHeaders, fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        added.apply(&mut headers);
        headers
    }

    fn session() -> ResponseHeaders {
        ResponseHeaders {
            session: Some(HeaderValue::from_static("s=1")),
            ..ResponseHeaders::default()
        }
    }

    #[test]
    fn a_shared_cache_may_never_store_a_session_cookie() {
        for (fields, expected) in [
            (&[][..], "private"),
            (&["public, max-age=60"], "private, max-age=60"),
            (&["max-age=60", "PUBLIC , S-MaxAge=9"], "private, max-age=60"),
            (&["private=\"set-cookie, x\", no-cache"], "private, no-cache"),
            (&["no-cache=\"a, public\", public"], "private, no-cache=\"a, public\""),
            (&["x=\"\\\", public"], "private, x=\"\\\", public"),
            (&["no-store"], "no-store"),
            (&["max-age=0, No-Store"], "max-age=0, No-Store"),
            (&["x=\"no-store\""], "private, x=\"no-store\""),
            (&["must-understand, no-store"], "private, must-understand, no-store"),
            (&["\u{e9}, public"], "private, \u{e9}"),
        ] {
            let fields = Vec::from_iter(fields.iter().map(|value| ("cache-control", *value)));
            let headers = applied(session(), &fields);
            let written = Vec::from_iter(headers.get_all("cache-control"));
            assert_eq!(written, [expected], "{fields:?}");
        }
    }

    #[test]
    fn no_other_field_overrides_that() {
        for name in [
            "cdn-cache-control",
            "example-cdn-cache-control",
            "surrogate-control",
            "x-accel-expires",
            "edge-control",
        ] {
            for fields in [
                &[(name, "max-age=60")][..],
                &[(name, "max-age=60"), ("cache-control", "no-store")],
            ] {
                assert!(!applied(session(), fields).contains_key(name), "{name}");
            }
            let headers = applied(ResponseHeaders::default(), &[(name, "max-age=60")]);
            assert!(headers.contains_key(name), "without a session cookie {name} stays");
        }
    }

    #[test]
    fn without_a_session_cookie_caching_is_the_applications_and_the_authenticators() {
        let cached = [("cache-control", "public, max-age=60")];
        let headers = applied(ResponseHeaders::default(), &cached);
        assert_eq!(headers["cache-control"], "public, max-age=60");
        let authenticator = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
        let added = ResponseHeaders {
            authenticator,
            ..ResponseHeaders::default()
        };
        assert_eq!(applied(added, &cached)["cache-control"], "no-store");
    }
}
