//! The gateway's own HTML pages, for browsers. They contain no scripts and load nothing.

/// A document. Both parts are HTML.
pub(crate) fn document(title: &str, main: &str) -> String {
    styled_document(title, "", main)
}

/// The same with more style of its own.
pub(crate) fn styled_document(title: &str, style: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <style>{STYLE}{style}</style>\n<main>\n{main}</main>\n</html>\n"
    )
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

/// The media type of a page.
pub(crate) const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// What a page may load and do, and that no other page shows it in a frame.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The colours have a contrast of at least 4.5 to 1 in both schemes (WCAG 2.2, 1.4.3).
const STYLE: &str = ":root{--text:#222;--back:#f6f6f4;--box:#fff;--line:#ddd;--dim:#595959;--act:#0b57d0;--on:#fff}\
    @media(prefers-color-scheme:dark){:root{--text:#e6e6e6;--back:#161616;--box:#222;--line:#444;--dim:#a6a6a6;\
    --act:#a8c7fa;--on:#062e6f}}\
    body{font:1rem/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);margin:0}\
    main{max-width:40rem;margin:4rem auto;padding:2rem;background:var(--box);border:1px solid var(--line);\
    border-radius:.5rem}\
    h1{font-size:1.4rem;margin:0 0 1rem;overflow-wrap:anywhere}\
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem}\
    dt,.id{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}.id{font-size:.85rem}\
    .act{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0 0;padding:0;list-style:none}\
    .act a,button{display:inline-block;font:inherit;color:var(--on);background:var(--act);border:0;border-radius:.3rem;\
    padding:.5rem 1rem;text-decoration:none;cursor:pointer}\
    a:focus-visible,button:focus-visible{outline:3px solid var(--text);outline-offset:2px}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            escape(r#"<a href='x'>"&"</a>"#),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;"
        );
    }
}
