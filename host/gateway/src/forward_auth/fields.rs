//! What a front says about a request, field by field. A field that is missing, said twice or malformed is refused: it
//! could be the client's word, or half of the front's.

use http::HeaderMap;
use http::Method;
use http::uri::Scheme;
use portcullis_wire::client;
use portcullis_wire::client::Client;
use portcullis_wire::peer::Peer;

use crate::forward_auth::FrontProxy;
use crate::pipeline::Rejection;
use crate::routing::is_served;

/// The one value of a header.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Rejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(Rejection::malformed(format_args!("the front sends no {name}")));
    };
    if values.next().is_some() {
        return Err(Rejection::malformed(format_args!("the front sends {name} twice")));
    }
    value
        .to_str()
        .map_err(|_| Rejection::malformed(format_args!("the front's {name} is not plain ASCII")))
}

/// The method of the original request.
pub(crate) fn method(text: &str) -> Result<Method, Rejection> {
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| Rejection::malformed("the front names no method"))?;
    if is_served(&method) {
        Ok(method)
    } else {
        Err(Rejection::Method)
    }
}

/// The scheme of the original request. A front may name that of a WebSocket, which is HTTP until it is upgraded.
pub(crate) fn scheme(text: &str) -> Result<Scheme, Rejection> {
    let http = match text {
        "ws" => "http",
        "wss" => "https",
        other => other,
    };
    client::parse_scheme(http).ok_or_else(|| Rejection::malformed("the front names a scheme other than http and https"))
}

/// The client as the front sees it: at the rightmost address of `X-Forwarded-For` that is no trusted proxy's.
pub(crate) fn client(headers: &HeaderMap, scheme: Scheme, peer: Peer, front: &FrontProxy) -> Result<Client, Rejection> {
    let address = client::forwarded_address(headers, front.trusted_proxies())
        .ok_or_else(|| Rejection::malformed("the front names no client in X-Forwarded-For"))?;
    Ok(Client::behind(peer, scheme, address))
}
