//! What spans tell of a request. Names are those of OpenTelemetry's conventions, and a span has no more of a user than the access log.

use http::HeaderMap;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use opentelemetry::KeyValue;
use portcullis_wire::client::Client;
use portcullis_wire::request_id::RequestId;

use super::check::Check;
use super::check::CheckCall;
use super::spans::method;

/// What the access log tells of a request, by the names of the conventions.
pub(super) fn of_request(parts: &Parts, client: &Client, id: &RequestId) -> Vec<KeyValue> {
    let (known, original) = method(&parts.method);
    let mut attributes = vec![
        KeyValue::new("http.request.method", known),
        KeyValue::new("url.scheme", client.scheme.to_string()),
        KeyValue::new("url.path", text(parts.uri.path())),
        KeyValue::new("client.address", client.shown_address().to_string()),
        KeyValue::new("portcullis.request_id", id.as_str().to_owned()),
    ];
    attributes.extend(protocol(parts));
    attributes.extend(original.map(|method| KeyValue::new("http.request.method_original", method.to_owned())));
    let agent = field(&parts.headers, header::USER_AGENT);
    attributes.extend(agent.map(|agent| KeyValue::new("user_agent.original", text(agent))));
    let host = field(&parts.headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    if let Some(authority) = parts.uri.authority().cloned().or(host) {
        attributes.push(KeyValue::new("server.address", text(authority.host())));
        attributes.extend(
            authority
                .port_u16()
                .map(|port| KeyValue::new("server.port", i64::from(port))),
        );
    }
    attributes
}

/// What a check tells of itself and of the request that it is about, whose names begin with `portcullis.original`.
pub(super) fn of_check(check: &Check<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("client.address", check.client.shown_address().to_string()),
        KeyValue::new("portcullis.request_id", check.id.as_str().to_owned()),
        KeyValue::new("portcullis.original.method", method(check.method).0),
        KeyValue::new("portcullis.original.scheme", check.client.scheme.to_string()),
        KeyValue::new("portcullis.original.path", text(check.path)),
    ];
    let host = check.host.map(text);
    attributes.extend(host.map(|host| KeyValue::new("portcullis.original.host", host)));
    match &check.call {
        CheckCall::Grpc { method, .. } => {
            attributes.push(KeyValue::new("rpc.system.name", "grpc"));
            attributes.push(KeyValue::new("rpc.method", *method));
        }
        CheckCall::Http { parts, route } => {
            attributes.push(KeyValue::new("http.request.method", method(&parts.method).0));
            attributes.push(KeyValue::new("http.route", *route));
            attributes.push(KeyValue::new("url.path", text(parts.uri.path())));
            attributes.extend(protocol(parts));
        }
    }
    attributes
}

fn protocol(parts: &Parts) -> [KeyValue; 2] {
    [
        KeyValue::new("network.protocol.name", "http"),
        KeyValue::new("network.protocol.version", version(parts.version)),
    ]
}

fn field(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// As much of a text as the access log has.
fn text(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// How much of a text is told, in characters.
const MAX_TEXT: usize = 512;
