//! Reads Envoy's description of a request. A missing or malformed attribute is rejected, like a header of another
//! front.

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;
use portcullis_envoy::AddressKind;
use portcullis_envoy::CheckRequest;
use portcullis_envoy::HttpRequest;
use portcullis_envoy::Peer;
use portcullis_wire::client;
use portcullis_wire::client::Client;
use portcullis_wire::peer;

use crate::forward_auth::FrontProxy;
use crate::forward_auth::Original;
use crate::forward_auth::fields;
use crate::pipeline::Rejection;
use crate::pipeline::target::Target;

/// Reads the request that Envoy asks about.
pub(super) fn original(
    check: CheckRequest,
    peer: peer::Peer,
    front: &FrontProxy<'_>,
    max_header_size: usize,
) -> Result<Original, Rejection> {
    let attributes = check.attributes.ok_or_else(|| missing("attributes"))?;
    let http = attributes
        .request
        .and_then(|request| request.http)
        .ok_or_else(|| missing("attributes.request.http"))?;
    let source = attributes
        .source
        .and_then(address)
        .ok_or_else(|| missing("attributes.source.address"))?;
    let method = fields::method(&http.method)?;
    let target = Target::from_front(&http.host, &http.path)?;
    let headers = headers(http, max_header_size)?;
    // Over HTTP/2 the client chooses `scheme`, but Envoy overwrites this header.
    let scheme = fields::scheme(fields::one(&headers, "x-forwarded-proto")?)?;
    let address = if front.trusts(&source) {
        client::forwarded_address(&headers, front.trusted_proxies()).unwrap_or(source)
    } else {
        source
    };
    Ok(Original {
        method,
        target,
        client: Client::behind(peer, scheme, address),
        headers,
    })
}

fn missing(attribute: &str) -> Rejection {
    Rejection::malformed(format_args!("Envoy doesn't send {attribute}"))
}

fn address(peer: Peer) -> Option<IpAddr> {
    match peer.address?.address? {
        AddressKind::SocketAddress(socket) => socket
            .address
            .parse()
            .ok()
            .map(|address: IpAddr| address.to_canonical()),
        AddressKind::Pipe(_) => None,
    }
}

/// The headers. With `encode_raw_headers`, Envoy sends each field by itself. Without it, Envoy joins repeated fields by
/// commas, so that two credentials look like one.
fn headers(http: HttpRequest, max_size: usize) -> Result<HeaderMap, Rejection> {
    let mut headers = HeaderMap::new();
    let mut remaining = max_size;
    let raw = http.header_map.into_iter().flat_map(|map| map.headers);
    let raw = raw.map(|header| {
        let value = if header.raw_value.is_empty() {
            header.value.into_bytes()
        } else {
            header.raw_value
        };
        (header.key, value, true)
    });
    let joined = http
        .headers
        .into_iter()
        .map(|(key, value)| (key, value.into_bytes(), false));
    for (key, value, is_separate) in raw.chain(joined) {
        let left = remaining.checked_sub(key.len() + value.len() + SEPARATORS);
        remaining = left.ok_or_else(|| Rejection::malformed("the headers are larger than server.max_header_size"))?;
        // Pseudo-headers are sent as attributes, too.
        if key.starts_with(':') {
            continue;
        }
        let malformed = || Rejection::malformed("Envoy sends a malformed header");
        let name = HeaderName::from_bytes(key.as_bytes()).map_err(|_| malformed())?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| malformed())?;
        let is_credential = name == header::AUTHORIZATION || name == header::PROXY_AUTHORIZATION;
        if is_credential && !is_separate && value.as_bytes().contains(&b',') {
            return Err(Rejection::malformed(
                "the credentials contain a comma, which may join two fields; set encode_raw_headers: true in Envoy",
            ));
        }
        headers.try_append(name, value).map_err(|_| malformed())?;
    }
    Ok(headers)
}

/// The size of what HTTP/1.1 adds to a field, in bytes: a colon, a space and a line break.
const SEPARATORS: usize = 4;
