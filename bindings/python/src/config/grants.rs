//! `grants`: what a plugin may see and reach. By default, it sees only the `Authorization` header.

use http::HeaderName;
use http::header;
use portcullis::Grants;
use portcullis::HttpGrant;

use super::table::Item;
use super::table::Table;

/// Reads the table. Only the `Authorization` header is granted by default.
pub(super) fn read(mut table: Table<'_>) -> Grants {
    let mut grants = Grants::default();
    if let Some(item) = table.take("headers") {
        grants.headers = item.each(granted_header);
    }
    grants.cookies = table
        .take("cookies")
        .map(|item| item.each(cookie_name))
        .unwrap_or_default();
    let query = table.take("query");
    grants.query = query
        .map(|item| item.each(|item| item.text().map(str::to_owned)))
        .unwrap_or_default();
    grants.private = table
        .take("private")
        .and_then(|item| item.boolean())
        .unwrap_or_default();
    let http = table.take("http");
    grants.http = http
        .map(|item| item.each(|item| http_grant(&item, grants.private)))
        .unwrap_or_default();
    let certificate = table.take("client_certificate");
    grants.client_certificate = certificate.and_then(|item| item.boolean()).unwrap_or_default();
    table.finish();
    grants
}

fn granted_header(item: Item<'_>) -> Option<HeaderName> {
    let name: HeaderName = item.parse("a header name", |text| text.parse().ok())?;
    if name == header::COOKIE {
        item.report("the whole Cookie header can't be granted; list the cookies in `cookies`");
        return None;
    }
    Some(name)
}

/// The name of a cookie is a token (RFC 6265, section 4.1.1; RFC 9110, section 5.6.2).
fn cookie_name(item: Item<'_>) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let parse = |text: &str| (!text.is_empty() && text.bytes().all(allowed)).then(|| text.to_owned());
    item.parse("a cookie name", parse)
}

fn http_grant(item: &Item<'_>, private: bool) -> Option<HttpGrant> {
    let grant = item.text()?.parse::<HttpGrant>();
    let grant = grant.map_err(|error| item.report(error.to_string())).ok()?;
    if grant.is_localhost() && !private {
        item.report(format!(
            "{grant} names this machine, which can't be reached by name: write its address, such as 127.0.0.1, or set \
             private = true in the same grants"
        ));
        return None;
    }
    Some(grant)
}
