//! `request` of a case: the request that the plugin is asked about. What isn't written is that of a plain GET from this
//! machine.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Uri;
use http::header;
use http::uri::Scheme;
use portcullis::AuthRequest;

use crate::config::reader::Item;
use crate::config::reader::Table;

const DEFAULT_URL: &str = "http://localhost/";

/// Reads the table. Returns `None` if it has a mistake.
pub(super) fn read(item: Option<Item<'_>>) -> Option<AuthRequest> {
    let mut table = match item {
        Some(item) => Some(item.table()?),
        None => None,
    };
    let mut take = |key| table.as_mut().and_then(|table| table.take(key));
    let method = take("method").map_or(Some(Method::GET), |item| {
        item.parse("a method, such as \"GET\"", |text| text.parse().ok())
    });
    let url = take("url").map_or_else(|| Some(Uri::from_static(DEFAULT_URL)), url);
    let headers = take("headers").map_or_else(|| Some(HeaderMap::new()), |item| headers(item.table()?));
    let client = take("client").map_or(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), |item| {
        item.parse("an IP address, such as \"192.0.2.1\"", |text| text.parse().ok())
    });
    if let Some(table) = table {
        table.finish();
    }
    request(method?, &url?, headers?, client?)
}

/// A request about which nothing is known, for calls that a client causes without a request of its own.
pub(super) fn plain() -> AuthRequest {
    AuthRequest::from_parts(&Request::new(()).into_parts().0)
}

/// Builds the request as the gateway would receive it. Like there, `Host` is that of the URL.
fn request(method: Method, url: &Uri, mut headers: HeaderMap, client: IpAddr) -> Option<AuthRequest> {
    let host = HeaderValue::from_str(url.authority()?.as_str()).ok()?;
    headers.insert(header::HOST, host);
    let mut parts = Request::builder()
        .method(method)
        .uri(url.clone())
        .body(())
        .ok()?
        .into_parts()
        .0;
    parts.headers = headers;
    let mut request = AuthRequest::from_parts(&parts);
    request.scheme = url.scheme()?.clone();
    request.client_address = Some(client);
    Some(request)
}

fn url(item: Item<'_>) -> Option<Uri> {
    item.parse(URL, absolute)
}

/// What [`absolute`] accepts, for errors.
pub(super) const URL: &str = "an http or https URL without a user and a fragment, such as \"http://localhost/\"";

/// Parses an absolute URL.
pub(super) fn absolute(text: &str) -> Option<Uri> {
    let uri = text.parse::<Uri>().ok()?;
    let is_http = uri
        .scheme()
        .is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    let has_host = uri
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    (is_http && has_host && !text.contains('#')).then_some(uri)
}

/// Reads a table of headers. A value is a string, or a list of strings for several fields of one name.
pub(super) fn headers(table: Table<'_>) -> Option<HeaderMap> {
    let (mut headers, mut is_good) = (HeaderMap::new(), true);
    for (name, item) in table.into_entries() {
        let place = item.place.clone();
        let Ok(name) = name.parse::<http::HeaderName>() else {
            place.report("is not a header name");
            is_good = false;
            continue;
        };
        if name == header::HOST {
            place.report("isn't allowed here: the host is that of the URL");
            is_good = false;
        }
        let Some(values) = super::expectation::texts(item) else {
            is_good = false;
            continue;
        };
        for value in values {
            // The value isn't shown, because it may be a credential.
            let value = HeaderValue::from_bytes(value.as_bytes());
            let value = value.map_err(|_| "has a control character, which no header can have");
            let added = value.and_then(|value| {
                let added = headers.try_append(name.clone(), value);
                added.map_err(|_| "is one header too many")
            });
            if let Err(message) = added {
                place.report(message);
                is_good = false;
            }
        }
    }
    is_good.then_some(headers)
}
