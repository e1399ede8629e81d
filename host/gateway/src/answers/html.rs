//! Answers browsers with a page.

use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use crate::answers::response;
use crate::html::MEDIA_TYPE;
use crate::html::POLICY;
use crate::html::document;
use crate::html::escape;
use crate::proxy::body::Body;

/// Whether the client wants a page. Browsers accept `text/html` explicitly, while API clients accept `*/*` or JSON.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        range
            .split(';')
            .next()
            .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
    })
}

/// A page. `body` is HTML and `title` is text.
pub(crate) fn html(title: &str, body: &str) -> Response<Body> {
    let title = escape(title);
    let page = document(&title, &format!("<h1>{title}</h1>\n{body}"));
    let mut response = response::page(StatusCode::OK, MEDIA_TYPE, page);
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_browsers_want_html() {
        for (accept, expected) in [
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), true),
            (Some("application/json, TEXT/HTML;q=0.5"), true),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("text/htmlx"), false),
            (None, false),
        ] {
            let headers = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            assert_eq!(wants_html(&headers.into_iter().collect()), expected, "{accept:?}");
        }
    }
}
