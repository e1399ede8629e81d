//! `[[servers]]`: servers that the file plays, so that a plugin that asks others can be tested without them.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::Uri;
use http::header;
use http::uri::Authority;
use http::uri::Scheme;

use crate::cases::request;
use crate::config::reader::Item;
use crate::config::reader::Table;
use crate::config::settings;
use crate::config::values;
use crate::files::read_bytes;

/// The most servers and responses of a list.
const MAX_ITEMS: usize = 100;
/// The largest file that is a body, in bytes: more than a plugin may receive.
const MAX_BODY: u64 = 16 << 20;
const MAX_DELAY: Duration = Duration::from_secs(60);

/// A server and what it answers, in the order in which it is looked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlayedServer {
    /// Where it is: scheme, host and port.
    pub origin: Origin,
    /// Its responses. The first that fits a request, and that isn't used up, is sent.
    pub responses: Vec<Arc<PlayedResponse>>,
}

/// What a server answers to some requests.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlayedResponse {
    /// The method of these requests. `None` for every method.
    pub method: Option<Method>,
    /// Their path, with the query if the file names one. `None` for every path.
    pub path: Option<String>,
    /// How many requests get it. `None` for all.
    pub times: Option<NonZero<u32>>,
    /// How long the server takes.
    pub delay: Duration,
    /// The response. `None` if the server closes the connection instead.
    pub answer: Option<http::Response<Bytes>>,
}

/// Scheme, host and port. The host has small letters, and a port that is usual for the scheme isn't written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// The origin of an absolute URI.
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?.clone();
        let usual = if scheme == Scheme::HTTPS { 443 } else { 80 };
        Some(Self {
            scheme,
            host: uri.host()?.to_ascii_lowercase(),
            port: uri
                .authority()
                .and_then(Authority::port_u16)
                .filter(|port| *port != usual),
        })
    }
}

impl PlayedResponse {
    /// Whether it is for a request of this method to this URI.
    pub fn is_for(&self, method: &Method, uri: &Uri) -> bool {
        let is_path = |path: &String| {
            let target = uri.path_and_query().map_or("/", |target| target.as_str());
            *path == if path.contains('?') { target } else { uri.path() }
        };
        self.method.as_ref().is_none_or(|known| known == method) && self.path.as_ref().is_none_or(is_path)
    }
}

/// Reads a list of servers. Those with mistakes are left out.
pub(super) fn read(item: Item<'_>) -> Vec<PlayedServer> {
    few(item).filter_map(|item| server(item.table()?)).collect()
}

/// The items of a list that isn't longer than it may be.
fn few(item: Item<'_>) -> impl Iterator<Item = Item<'_>> {
    let place = item.place.clone();
    let items = item.list();
    if items.len() > MAX_ITEMS {
        place.report(format!("{} items, and at most {MAX_ITEMS} are accepted", items.len()));
    }
    items.into_iter().take(MAX_ITEMS)
}

fn server(mut table: Table<'_>) -> Option<PlayedServer> {
    let origin = table.require("url").and_then(|item| {
        item.parse(
            "the URL of a server without a path, such as \"https://id.example\"",
            |text| {
                let uri = request::absolute(text)?;
                (uri.path() == "/" && uri.query().is_none()).then(|| Origin::of(&uri))?
            },
        )
    });
    let responses = table.take("responses").map(|item| {
        few(item)
            .filter_map(|item| response(item.table()?))
            .map(Arc::new)
            .collect()
    });
    table.finish();
    Some(PlayedServer {
        origin: origin?,
        responses: responses.unwrap_or_default(),
    })
}

fn response(mut table: Table<'_>) -> Option<PlayedResponse> {
    let place = table.place.clone();
    let before = place.document().error_count();
    let method = table
        .take("method")
        .and_then(|item| item.parse("a method, such as \"GET\"", |text| text.parse().ok()));
    let path = table.take("path").and_then(|item| {
        let is_path = |text: &str| text.starts_with('/') && text.parse::<Uri>().is_ok() && !text.contains('#');
        item.parse("a path, such as \"/jwks\"", |text| {
            is_path(text).then(|| text.to_owned())
        })
    });
    let times = table.take("times").and_then(|item| item.number(1, 1000));
    let delay = table
        .take("delay")
        .and_then(|item| values::duration(item, Duration::ZERO..=MAX_DELAY));
    let status = table.take("status").and_then(|item| item.number(200, 599));
    let headers = table.take("headers").and_then(response_headers);
    let body = body(&mut table);
    let hangs_up = table.take("hang_up").and_then(Item::boolean) == Some(true);
    table.finish();
    if hangs_up && (status.is_some() || headers.is_some() || body.is_some()) {
        place.report("a server that hangs up sends nothing: leave out hang_up, or status, headers and body");
    }
    if place.document().error_count() != before {
        return None;
    }
    let mut answer = http::Response::new(Bytes::new());
    if let Some(status) = status.and_then(|status| u16::try_from(status).ok()) {
        *answer.status_mut() = StatusCode::from_u16(status).ok()?;
    }
    let mut headers = headers.unwrap_or_default();
    if let Some(Body { bytes, is_json }) = body {
        if is_json {
            json_unless_said(&mut headers);
        }
        *answer.body_mut() = bytes;
    }
    *answer.headers_mut() = headers;
    Some(PlayedResponse {
        method,
        path,
        times: times.and_then(|times| u32::try_from(times).ok()).and_then(NonZero::new),
        delay: delay.unwrap_or_default(),
        answer: (!hangs_up).then_some(answer),
    })
}

fn response_headers(item: Item<'_>) -> Option<HeaderMap> {
    let place = item.place.clone();
    let headers = request::headers(item.table()?)?;
    for name in FRAMING.iter().filter(|name| headers.contains_key(*name)) {
        place.report(format!("has {name}, which follows from the body"));
    }
    Some(headers)
}

/// How a response is sent, which isn't for the file to say.
const FRAMING: [header::HeaderName; 3] = [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

fn json_unless_said(headers: &mut HeaderMap) {
    let json = http::HeaderValue::from_static("application/json");
    headers.entry(header::CONTENT_TYPE).or_insert(json);
}

struct Body {
    bytes: Bytes,
    is_json: bool,
}

/// Reads the body: text, JSON, or the content of a file.
fn body(table: &mut Table<'_>) -> Option<Body> {
    let place = table.place.clone();
    let text = table.take("body");
    let json = table.take("json");
    let file = table.take("file");
    if [&text, &json, &file].into_iter().flatten().count() > 1 {
        place.report("has more than one of body, json and file");
    }
    let bytes = if let Some(item) = text {
        item.text()?.into()
    } else if let Some(item) = json {
        let bytes = settings::json(item)?.to_string().into();
        return Some(Body { bytes, is_json: true });
    } else {
        let item = file?;
        let place = item.place.clone();
        let path = place.document().file(&item.text()?);
        let bytes = read_bytes(&path, MAX_BODY);
        bytes.map_err(|error| place.report(error)).ok()?.into()
    };
    Some(Body { bytes, is_json: false })
}
