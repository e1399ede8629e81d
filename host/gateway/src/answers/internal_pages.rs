//! The gateway's own paths, all below `/.portcullis/`. None of them is ever forwarded.

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

/// Whether a path is the gateway's own, also when it only looks so to a careless reader.
pub(crate) fn covers(path: &CanonicalPath) -> bool {
    is_own(path) || path.lenient_reading().is_some_and(|path| is_own(&path))
}

/// Answers a request to a path of the gateway's own.
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

/// Ends the session of a browser, by POST only: any page can make a browser fetch an address, but none of another site
/// may post here. The cookie is all that there is of a session, so a copy of it lives until it expires.
fn logout(method: &Method, headers: &HeaderMap, sessions: Option<&Arc<Sessions>>) -> Response<Body> {
    let reads = method == Method::GET || method == Method::HEAD;
    if reads && html::wants_html(headers) {
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

/// W3C Fetch Metadata: which site's page made the browser send this.
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
    fn every_spelling_of_an_own_path_is_known() {
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
    fn only_a_post_of_our_own_page_ends_a_session() {
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
