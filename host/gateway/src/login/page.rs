//! The pages that people see when they log in or out. They load nothing, have no scripts, and work without a mouse; an operator's
//! templates may replace them.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis_wire::request_id::RequestId;

use crate::answers::response;
use crate::config::PageName;
use crate::config::Templates;
use crate::html;
use crate::html::escape;

/// A page: what has happened, and what one can do now.
#[derive(Debug)]
pub(super) struct Page {
    name: PageName,
    status: StatusCode,
    title: String,
    text: String,
    /// As HTML.
    actions: Vec<String>,
    /// The value of `Refresh`. `None` if the page stays.
    refresh: Option<HeaderValue>,
}

impl Page {
    /// A page with this title and one paragraph of text.
    pub(super) fn new(name: PageName, status: StatusCode, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name,
            status,
            title: title.into(),
            text: text.into(),
            actions: Vec::new(),
            refresh: None,
        }
    }

    /// Goes on to this URL by itself, after a time in whole seconds. It is no redirect: browsers check the redirects of a form too
    /// against `form-action`.
    #[must_use]
    pub(super) fn goes_on(self, after: Duration, to: &str) -> Self {
        let refresh = HeaderValue::try_from(format!("{}; url={to}", after.as_secs())).ok();
        Self { refresh, ..self }
    }

    /// Offers a link.
    #[must_use]
    pub(super) fn link(mut self, to: &str, label: &str) -> Self {
        // A page in a frame leads out of it.
        let target = match self.name {
            PageName::Frame => " target=\"_top\"",
            _ => "",
        };
        let (to, label) = (escape(to), escape(label));
        self.actions.push(format!("<a href=\"{to}\"{target}>{label}</a>"));
        self
    }

    /// Offers a button that sends an empty form.
    #[must_use]
    pub(super) fn button(mut self, to: &str, label: &str) -> Self {
        let (to, label) = (escape(to), escape(label));
        self.actions.push(format!(
            "<form method=\"post\" action=\"{to}\"><button>{label}</button></form>"
        ));
        self
    }

    /// The response. `id` is that of the request, for who asks the operator. `None` if it has none.
    pub(super) fn into_response(self, templates: &Templates, id: Option<&RequestId>) -> Response<Bytes> {
        let title = escape(&self.title);
        let text = format!("<p>{}</p>\n", escape(&self.text));
        let mut actions = String::new();
        for action in &self.actions {
            // Writing to a string can't fail.
            let _ = writeln!(actions, "<li>{action}</li>");
        }
        let actions = match actions.as_str() {
            "" => String::new(),
            listed => format!("<ul class=\"act\">\n{listed}</ul>\n"),
        };
        let id = id.filter(|_| self.status.as_u16() >= 400);
        let id = id.map(|id| format!("<p class=\"id\">Request {}</p>\n", escape(id.as_str())));
        let id = id.unwrap_or_default();
        let page = match templates.of(self.name) {
            Some(template) => filled(
                template,
                &[
                    ("{{title}}", &title),
                    ("{{text}}", &text),
                    ("{{actions}}", &actions),
                    ("{{request}}", &id),
                ],
            ),
            None => html::document(&title, &format!("<h1>{title}</h1>\n{text}{actions}{id}")),
        };
        let mut response = response::whole(self.status, html::MEDIA_TYPE, page);
        let headers = response.headers_mut();
        let policy = match self.name {
            PageName::Frame => HeaderValue::from_static(FRAMED_POLICY),
            _ => HeaderValue::from_static(html::POLICY),
        };
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.extend(self.refresh.map(|refresh| (REFRESH, refresh)));
        keep_private(headers);
        response
    }
}

/// Fills a template in one walk, so that what one placeholder stands for is never taken for another placeholder.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let (before, from) = rest.split_at(start);
        page.push_str(before);
        let known = values.iter().find(|(name, _)| from.starts_with(name));
        let (written, name) = known.map_or(("{", "{"), |(name, value)| (*value, *name));
        page.push_str(written);
        rest = from.get(name.len()..).unwrap_or_default();
    }
    page.push_str(rest);
    page
}

/// A redirect that is not stored (RFC 9110, section 15.4). The next page isn't told where it comes from, because the query of a
/// callback has the code.
pub(super) fn redirect(status: StatusCode, location: &str) -> Option<Response<Bytes>> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::try_from(location).ok()?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    keep_private(headers);
    Some(response)
}

fn keep_private(headers: &mut HeaderMap) {
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// HTML, section 4.2.5.3, "refresh": where the page goes on by itself.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

/// That of a page which other pages may show in a frame. It has a link out of the frame, and nothing else.
const FRAMED_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_once() {
        let values = [("{{title}}", "{{text}}"), ("{{text}}", "<b>")];
        for (template, expected) in [
            ("", ""),
            ("a{{title}}b{{text}}c{{title}}", "a{{text}}b<b>c{{text}}"),
            ("{{other}} {{ {{{text}}}", "{{other}} {{ {<b>}"),
            ("{{", "{{"),
        ] {
            assert_eq!(filled(template, &values), expected, "{template:?}");
        }
    }

    #[test]
    fn whatever_is_told_is_escaped() {
        let page = Page::new(PageName::Failed, StatusCode::UNAUTHORIZED, "<a>", "\"<b>\"")
            .link("/a?b=\"c\"&d", "<c>")
            .button("/\"", "<d>");
        let response = page.into_response(&Templates::default(), None);
        assert_eq!(response.status(), 401);
        let text = std::str::from_utf8(response.body()).unwrap();
        for expected in [
            "<title>&lt;a&gt;</title>",
            "<p>&quot;&lt;b&gt;&quot;</p>",
            "<a href=\"/a?b=&quot;c&quot;&amp;d\">&lt;c&gt;</a>",
            "action=\"/&quot;\"><button>&lt;d&gt;</button>",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
