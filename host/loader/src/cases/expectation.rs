//! `expect` of a case: what the plugin's decision must be. What isn't named may be anything.

use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::Uri;
use portcullis::decision::Attribute;
use portcullis::decision::Verdict;
use toml_span::value::ValueInner;

use crate::cases::request;
use crate::config::error::unknown;
use crate::config::reader::Item;
use crate::config::reader::Table;

/// What is expected of a decision. `None` stands for what may be anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Expectation {
    /// The status of the gateway's response. It is 200 for a request that is granted.
    pub status: Option<StatusCode>,
    /// The word for the verdict in the audit log.
    pub verdict: Option<&'static str>,
    /// The name of the user.
    pub user: Option<String>,
    /// The groups of the user, in order.
    pub groups: Option<Vec<String>>,
    /// The values of these attributes of the user or the permit, in order. Others may have any.
    pub attributes: Vec<(String, Vec<String>)>,
    /// A part of one of the challenges in `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// Everything that the plugin reads of the request, in any order.
    pub reads: Option<Vec<Attribute>>,
    /// All requests to servers that the file plays, in order.
    pub calls: Option<Vec<ExpectedCall>>,
}

/// A request that the plugin must send to a server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExpectedCall {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Uri,
    /// Headers that it must have. It may have others.
    pub headers: HeaderMap,
    /// The whole body. `None` if it may be any.
    pub body: Option<String>,
}

/// Reads the table. Returns `None` if it has a mistake that hides what is meant.
pub(super) fn read(item: Item<'_>) -> Option<Expectation> {
    let place = item.place.clone();
    let before = place.document().error_count();
    let mut table = item.table()?;
    let status = table.take("status").and_then(|item| item.number(100, 599));
    let expectation = Expectation {
        status: status
            .and_then(|status| u16::try_from(status).ok())
            .and_then(|status| StatusCode::from_u16(status).ok()),
        verdict: table.take("verdict").and_then(verdict),
        challenge: table.take("challenge").and_then(Item::text),
        reads: table.take("reads").map(|item| {
            let words =
                "what `explain` prints, such as \"header authorization\", \"cookie NAME\", \"query\" or \"path\"";
            let items = item.list().into_iter();
            items.filter_map(|item| item.parse(words, attribute)).collect()
        }),
        ..of_user(&mut table)
    };
    table.finish();
    let is_good = place.document().error_count() == before;
    if is_good && expectation == Expectation::default() {
        place.report(
            "expects nothing: name at least one of status, verdict, user, groups, attributes, challenge, reads, calls",
        );
    }
    is_good.then_some(expectation)
}

/// Reads what is expected of the user, and of requests to servers.
pub(super) fn of_user(table: &mut Table<'_>) -> Expectation {
    Expectation {
        user: table.take("user").and_then(Item::text),
        groups: table.take("groups").and_then(list),
        attributes: table
            .take("attributes")
            .and_then(Item::table)
            .map(attributes)
            .unwrap_or_default(),
        calls: table
            .take("calls")
            .map(|item| item.list().into_iter().filter_map(call).collect()),
        ..Expectation::default()
    }
}

fn verdict(item: Item<'_>) -> Option<&'static str> {
    let place = item.place.clone();
    let text = item.text()?;
    let known = Verdict::LABELS.into_iter().find(|label| *label == text);
    if known.is_none() {
        place.report(unknown("verdict", &text, Verdict::LABELS));
    }
    known
}

fn attributes(table: Table<'_>) -> Vec<(String, Vec<String>)> {
    let entries = table.into_entries();
    entries.filter_map(|(name, item)| Some((name, texts(item)?))).collect()
}

/// Reads a string, or a list of strings.
pub(super) fn texts(item: Item<'_>) -> Option<Vec<String>> {
    match item.value {
        ValueInner::Array(_) => list(item),
        _ => item.text().map(|text| vec![text]),
    }
}

/// Reads a list of strings.
pub(super) fn list(item: Item<'_>) -> Option<Vec<String>> {
    if !matches!(item.value, ValueInner::Array(_)) {
        item.list();
        return None;
    }
    item.list().into_iter().map(Item::text).collect()
}

/// Reads a method and a URL, or a table that may also name headers and a body.
fn call(item: Item<'_>) -> Option<ExpectedCall> {
    const WORDS: &str = "a method and a URL, such as \"GET https://id.example/jwks\"";
    if !matches!(item.value, ValueInner::Table(_)) {
        return item.parse(WORDS, |text| {
            let (method, url) = text.split_once(' ')?;
            Some(ExpectedCall {
                method: method.parse().ok()?,
                url: request::absolute(url)?,
                headers: HeaderMap::new(),
                body: None,
            })
        });
    }
    let mut table = item.table()?;
    let method = match table.take("method") {
        Some(item) => item.parse("a method, such as \"GET\"", |text| text.parse().ok()),
        None => Some(Method::GET),
    };
    let url = table
        .require("url")
        .and_then(|item| item.parse(request::URL, request::absolute));
    let headers = match table.take("headers") {
        Some(item) => item.table().and_then(request::headers),
        None => Some(HeaderMap::new()),
    };
    let body = table.take("body").and_then(Item::text);
    table.finish();
    Some(ExpectedCall {
        method: method?,
        url: url?,
        headers: headers?,
        body,
    })
}

/// The attribute that is displayed as this text.
fn attribute(text: &str) -> Option<Attribute> {
    Some(match text.split_once(' ') {
        Some(("cookie", name)) => Attribute::Cookie(name.to_owned()),
        Some(("header", name)) => Attribute::Header(name.to_ascii_lowercase()),
        Some(("negotiate", name)) => Attribute::Negotiate(name.to_owned()),
        Some(_) => return None,
        None => {
            let plain = [
                Attribute::Authority,
                Attribute::ClientAddress,
                Attribute::ClientCertificate,
                Attribute::Method,
                Attribute::Path,
                Attribute::Query,
                Attribute::Route,
                Attribute::Scheme,
            ];
            return plain.into_iter().find(|attribute| attribute.to_string() == text);
        }
    })
}
