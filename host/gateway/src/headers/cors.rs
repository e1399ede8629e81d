//! The headers by which a browser lets a page of another origin read a response (Fetch standard, section 3.2).

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use crate::config::Cors;

/// Lets the page that sent a request read the gateway's own response. `origin` is the request's `Origin`.
pub(crate) fn allow(cors: &Cors, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
    response.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    let allowed = match &cors.origins {
        None => HeaderValue::from_static("*"),
        Some(origins) if origins.contains(origin) => origin.clone(),
        Some(_) => return,
    };
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if cors.credentials {
        response.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
}

/// Whether a request is the one by which a browser asks for permission before the actual request.
pub(crate) fn is_preflight(method: &http::Method, headers: &HeaderMap) -> bool {
    let has = |name: HeaderName| headers.contains_key(name);
    method == http::Method::OPTIONS && has(header::ORIGIN) && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a page needs to tell its user how to log in.
const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Retry-After, X-Request-Id");

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &Cors, origin: Option<&str>) -> (Option<String>, bool) {
        let mut response = HeaderMap::new();
        let origin = origin.map(|origin| HeaderValue::from_str(origin).unwrap());
        allow(cors, origin.as_ref(), &mut response);
        assert_eq!(response[header::VARY], "Origin");
        let value = response.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let value = value.map(|value| value.to_str().unwrap().to_owned());
        (value, response.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS))
    }

    #[test]
    fn a_preflight_is_options_with_both_headers() {
        let (origin, method) = (header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD);
        for (asked, names, expected) in [
            (http::Method::OPTIONS, &[&origin, &method][..], true),
            (http::Method::OPTIONS, &[&origin], false),
            (http::Method::OPTIONS, &[&method], false),
            (http::Method::OPTIONS, &[], false),
            (http::Method::GET, &[&origin, &method], false),
        ] {
            let headers = names
                .iter()
                .map(|name| ((*name).clone(), HeaderValue::from_static("PUT")));
            let headers = HeaderMap::from_iter(headers);
            assert_eq!(is_preflight(&asked, &headers), expected, "{asked} {names:?}");
        }
    }

    #[test]
    fn only_listed_origins_may_read() {
        let app = HeaderValue::from_static("https://app.example");
        let listed = Cors {
            origins: Some(vec![app]),
            credentials: true,
        };
        let every = Cors {
            origins: None,
            credentials: false,
        };
        let found = |value: &str, credentials| (Some(value.to_owned()), credentials);
        assert_eq!(
            allowed(&listed, Some("https://app.example")),
            found("https://app.example", true)
        );
        for other in [
            "https://evil.example",
            "http://app.example",
            "https://app.example.evil",
            "null",
        ] {
            assert_eq!(allowed(&listed, Some(other)), (None, false), "{other}");
        }
        assert_eq!(allowed(&listed, None), (None, false));
        assert_eq!(allowed(&every, Some("null")), found("*", false));
    }
}
