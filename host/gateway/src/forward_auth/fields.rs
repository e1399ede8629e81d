//! The fields by which a front describes a request. A field that is missing, repeated or malformed is rejected, because
//! it may come from the client.

use http::HeaderMap;
use http::Method;
use http::uri::Scheme;
use portcullis_wire::client;
use portcullis_wire::client::Client;
use portcullis_wire::peer::Peer;

use crate::forward_auth::FrontProxy;
use crate::pipeline::Rejection;
use crate::routing::is_served;

/// The value of a header that must be there exactly once.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Rejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(Rejection::malformed(format_args!("the front doesn't send {name}")));
    };
    if values.next().is_some() {
        return Err(Rejection::malformed(format_args!("the front sends {name} twice")));
    }
    std::str::from_utf8(value.as_bytes())
        .map_err(|_| Rejection::malformed(format_args!("the front's {name} is not UTF-8")))
}

/// The method of the original request.
pub(crate) fn method(text: &str) -> Result<Method, Rejection> {
    let method =
        Method::from_bytes(text.as_bytes()).map_err(|_| Rejection::malformed("the front sends no valid method"))?;
    if is_served(&method) {
        Ok(method)
    } else {
        Err(Rejection::Method)
    }
}

/// The scheme of the original request. A front may send the scheme of a WebSocket, which is HTTP until it is upgraded.
pub(crate) fn scheme(text: &str) -> Result<Scheme, Rejection> {
    let http = match text {
        "ws" => "http",
        "wss" => "https",
        other => other,
    };
    client::parse_scheme(http).ok_or_else(|| Rejection::malformed("the front sends a scheme other than http and https"))
}

/// The client as the front sees it: the rightmost address in `X-Forwarded-For` that isn't a trusted proxy.
pub(crate) fn client(
    headers: &HeaderMap,
    scheme: Scheme,
    peer: Peer,
    front: &FrontProxy<'_>,
) -> Result<Client, Rejection> {
    let address = client::forwarded_address(headers, front.trusted_proxies())
        .ok_or_else(|| Rejection::malformed("the front sends no client address in X-Forwarded-For"))?;
    Ok(Client::behind(peer, scheme, address))
}
