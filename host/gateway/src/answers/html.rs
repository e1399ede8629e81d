//! The gateway's own HTML pages, for browsers. They contain no scripts and load nothing.

use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use crate::answers::response;
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
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style>\n\
         <main>\n<h1>{title}</h1>\n{body}</main>\n</html>\n"
    );
    let mut response = response::page(StatusCode::OK, "text/html; charset=utf-8", page);
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Escapes text for HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;color:#222;background:#f6f6f4;margin:0}\
    main{max-width:40rem;margin:4rem auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:.5rem}\
    h1{font-size:1.4rem;margin:0 0 1rem;overflow-wrap:anywhere}\
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem}\
    dt{color:#666}dd{margin:0;overflow-wrap:anywhere}";

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

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            escape(r#"<a href='x'>"&"</a>"#),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;"
        );
    }
}
