//! The gateway's own pages. All their paths are below `/.portcullis/`, and none of them is ever forwarded.

use std::sync::Arc;

use http::HeaderMap;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis::session::Sessions;
use portcullis_wire::path::CanonicalPath;
use serde_json::json;

use crate::answers::html;
use crate::answers::response;
use crate::proxy::body::Body;

/// Whether a path is one of the gateway's own, in the strict or in the lenient reading.
pub(crate) fn covers(path: &CanonicalPath) -> bool {
    is_own(path) || path.lenient_reading().is_some_and(|path| is_own(&path))
}

/// Answers a request for one of the gateway's own paths.
pub(crate) fn answer(
    path: &CanonicalPath,
    method: &Method,
    headers: &HeaderMap,
    sessions: Option<&Arc<Sessions>>,
) -> Response<Body> {
    match path.decoded() {
        "/.portcullis/logout" => logout(method, headers, sessions),
        _ => response::error(StatusCode::NOT_FOUND, "Not found"),
    }
}

fn is_own(path: &CanonicalPath) -> bool {
    path.decoded().split('/').nth(1) == Some(".portcullis")
}

/// Deletes the session cookie of a browser. Only POST does so, because any site can make a browser send GET, and POST
/// from another site is rejected. The gateway stores no sessions, so a copy of the cookie stays valid until it expires.
fn logout(method: &Method, headers: &HeaderMap, sessions: Option<&Arc<Sessions>>) -> Response<Body> {
    let is_read = method == Method::GET || method == Method::HEAD;
    if is_read && html::wants_html(headers) {
        return html::html("Sign out?", "<form method=\"post\"><button>Sign out</button></form>\n");
    }
    if method != Method::POST {
        return response::method_not_allowed("POST");
    }
    if headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site") {
        return response::error(StatusCode::FORBIDDEN, "Forbidden");
    }
    let mut response = if html::wants_html(headers) {
        html::html("You are signed out", "")
    } else {
        response::json(&json!({ "session": null }))
    };
    if let Some(sessions) = sessions {
        response.headers_mut().append(header::SET_COOKIE, sessions.clear());
    }
    response
}

/// W3C Fetch Metadata: the relation of the page that sent the request to this site.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    fn status(text: &str, method: Method, headers: &[(&'static str, &'static str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        answer(&path(text), &method, &headers, None).status().as_u16()
    }

    #[test]
    fn own_paths_are_recognised_in_every_spelling() {
        for own in [
            "/.portcullis",
            "/.portcullis/",
            "/.portcullis/x",
            "/%2eportcullis/x",
            "/.portcullis;a/x",
        ] {
            assert!(covers(&path(own)), "{own}");
        }
        for other in [
            "/",
            "/portcullis/x",
            "/a/.portcullis/x",
            "/.portcullisx",
            "/.Portcullis",
        ] {
            assert!(!covers(&path(other)), "{other}");
        }
    }

    #[test]
    fn a_session_ends_by_post_but_not_from_another_site() {
        let browser = ("accept", "text/html");
        for (method, headers, expected) in [
            (Method::POST, &[][..], 200),
            (Method::POST, &[("sec-fetch-site", "same-origin")], 200),
            (Method::POST, &[("sec-fetch-site", "cross-site")], 403),
            (Method::GET, &[browser], 200),
            (Method::GET, &[], 405),
            (Method::DELETE, &[browser], 405),
        ] {
            assert_eq!(
                status("/.portcullis/logout", method.clone(), headers),
                expected,
                "{method} {headers:?}"
            );
        }
        assert_eq!(status("/.portcullis/auth/nginx", Method::GET, &[]), 404);
        assert_eq!(status("/.portcullis/logout/", Method::POST, &[]), 404);
    }
}
