//! WebSockets over HTTP/2 (RFC 8441). Such a request becomes the one that it is over HTTP/1.1, so that whatever holds for WebSockets
//! holds for it, and the upstream's answer becomes one of HTTP/2 again.

use aws_lc_rs::digest;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use hyper::ext::Protocol;

/// What the upstream must answer in `Sec-WebSocket-Accept`, so that it is one that speaks WebSocket.
#[derive(Debug)]
pub(super) struct Accept(String);

/// Makes a request of HTTP/1.1 of one for a WebSocket. `None` if it isn't one, or if there are no random numbers: then it is left as it
/// is, and its method isn't served.
pub(super) fn into_upgrade<B>(request: &mut Request<B>) -> Option<Accept> {
    let protocol = request.extensions().get::<Protocol>()?;
    if request.version() != Version::HTTP_2 || request.method() != Method::CONNECT || protocol.as_str() != "websocket" {
        return None;
    }
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).ok()?;
    let key = BASE64_STANDARD.encode(nonce);
    let value = HeaderValue::try_from(&key).ok()?;
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_KEY, value);
    Some(Accept::of(&key))
}

impl Accept {
    /// RFC 6455, section 4.2.2.
    fn of(key: &str) -> Self {
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
        Self(BASE64_STANDARD.encode(sum))
    }

    /// Makes the answer to the client's request of the upstream's: 200 for 101. An upstream that doesn't prove that it speaks WebSocket
    /// (RFC 6455, section 4.1) has not switched, whatever its status says; false then. Over HTTP/1.1, 200 is no switch either, but to
    /// this request it would be one (RFC 8441, section 4).
    pub(super) fn turn<B>(&self, response: &mut Response<B>) -> bool {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return !response.status().is_success();
        }
        let accept = response.headers_mut().remove(header::SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|accept| accept.as_bytes() != self.0.as_bytes()) {
            return false;
        }
        for name in [header::CONNECTION, header::UPGRADE] {
            response.headers_mut().remove(name);
        }
        *response.status_mut() = StatusCode::OK;
        true
    }
}

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, version: Version, protocol: Option<&'static str>) -> Request<()> {
        let mut request = Request::builder()
            .method(method)
            .version(version)
            .uri("https://a.test/ws?x=1")
            .body(())
            .unwrap();
        request.extensions_mut().extend(
            protocol
                .map(|protocol| {
                    let mut extensions = http::Extensions::new();
                    extensions.insert(Protocol::from_static(protocol));
                    extensions
                })
                .unwrap_or_default(),
        );
        request
    }

    #[test]
    fn only_a_websocket_over_http_2_becomes_an_upgrade() {
        for (method, version, protocol, expected) in [
            (Method::CONNECT, Version::HTTP_2, Some("websocket"), true),
            (Method::CONNECT, Version::HTTP_2, Some("connect-udp"), false),
            (Method::CONNECT, Version::HTTP_2, None, false),
            (Method::GET, Version::HTTP_2, Some("websocket"), false),
            (Method::CONNECT, Version::HTTP_11, Some("websocket"), false),
        ] {
            let mut request = request(method.clone(), version, protocol);
            assert_eq!(
                into_upgrade(&mut request).is_some(),
                expected,
                "{method} {version:?} {protocol:?}"
            );
            let is_upgrade = request.method() == Method::GET && request.headers().contains_key(header::UPGRADE);
            assert_eq!(is_upgrade, expected);
            assert_eq!(request.uri().path_and_query().unwrap(), "/ws?x=1");
        }
    }

    /// The key and the answer are those of RFC 6455, section 1.3.
    #[test]
    fn an_upstream_proves_that_it_speaks_websocket() {
        let accept = Accept::of("dGhlIHNhbXBsZSBub25jZQ==");
        for (status, value, expected, turned) in [
            (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), true, 200),
            (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOp="), false, 101),
            (101, None, false, 101),
            (403, None, true, 403),
            (302, None, true, 302),
            (200, None, false, 200),
            (204, None, false, 204),
        ] {
            let mut response = Response::builder()
                .status(status)
                .header("upgrade", "websocket")
                .header("connection", "upgrade")
                .body(())
                .unwrap();
            if let Some(value) = value {
                response
                    .headers_mut()
                    .insert("sec-websocket-accept", value.parse().unwrap());
            }
            assert_eq!(accept.turn(&mut response), expected, "{status} {value:?}");
            assert_eq!(response.status(), turned);
            assert_eq!(
                response.headers().contains_key("upgrade"),
                turned != 200 || status == 200
            );
        }
    }
}
