//! The host function for requests to other servers: one complete exchange. Grants, bounds and stored responses are those of
//! `wasi:http`, because both send their requests through `egress`.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::Uri;
use http::header;
use http_body_util::BodyExt;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use tokio::time::timeout;
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::WasiBody;

use super::HostState;
use super::REQUESTS;
use super::bounded;
use crate::contract::portcullis::auth::outbound;
use crate::contract::portcullis::auth::outbound::Failure;
use crate::egress::EXCHANGE;
use crate::egress::MAX_RESPONSE;

/// The largest body of a response, in bytes.
const MAX_BODY: u32 = MAX_RESPONSE as u32;

impl outbound::Host for HostState {
    async fn fetch(&mut self, request: outbound::Request) -> wasmtime::Result<Result<outbound::Response, Failure>> {
        self.used(REQUESTS);
        let time = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let time = time.unwrap_or(EXCHANGE).min(EXCHANGE);
        let max_body = request.max_body.unwrap_or(MAX_BODY).min(MAX_BODY);
        let request = match parse(request) {
            Ok(request) => request,
            Err(why) => return Ok(Err(Failure::Invalid(why.to_owned()))),
        };
        let asks_for_coding = request.headers().contains_key(header::ACCEPT_ENCODING);
        let sent = self.outbound.send(request, time);
        let exchange = async {
            let response = sent.await.map_err(|error| failure(&error))?;
            match coding(response.headers()).filter(|_| !asks_for_coding) {
                Some(coding) => Err(Failure::Unusable(format!(
                    "it has the content coding {coding:?}, which wasn't asked for"
                ))),
                None => read(response, max_body).await,
            }
        };
        let exchanged = self.clock.wait(&self.permit, timeout(time, exchange)).await?;
        Ok(exchanged.unwrap_or(Err(Failure::Timeout)))
    }
}

/// The headers that the gateway sets itself are refused, as `wasi:http` does.
fn parse(request: outbound::Request) -> Result<Request<Bytes>, &'static str> {
    const MALFORMED: &str = "the URL is malformed";
    let uri: Uri = request.url.parse().map_err(|_| MALFORMED)?;
    // `Uri` drops a fragment, where others see a part of the host.
    let is_absolute =
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    if !is_absolute || request.url.contains('#') {
        return Err(MALFORMED);
    }
    let mut parsed = Request::new(request.body.into());
    *parsed.uri_mut() = uri;
    *parsed.method_mut() = Method::from_bytes(request.method.as_bytes()).map_err(|_| "the method is malformed")?;
    for (name, value) in request.headers {
        let header = (HeaderName::try_from(name).ok()).zip(HeaderValue::try_from(value).ok());
        match header {
            Some((name, value)) if !DEFAULT_FORBIDDEN_HEADERS.contains(&name) => {
                parsed.headers_mut().append(name, value);
            }
            _ => return Err("a header has a name or a value that can't be sent"),
        }
    }
    Ok(parsed)
}

/// The content coding of a response (RFC 9110, section 8.4). `None` if it isn't coded. In any language a plugin would take the
/// body for something else.
fn coding(headers: &HeaderMap) -> Option<String> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let coding = codings.find(|coding| !coding.is_empty() && !coding.as_bytes().eq_ignore_ascii_case(b"identity"))?;
    Some(bounded(&String::from_utf8_lossy(coding.as_bytes())))
}

async fn read(response: Response<WasiBody>, max: u32) -> Result<outbound::Response, Failure> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, usize::try_from(max).unwrap_or(usize::MAX));
    let body = body.collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Failure::TooLarge(max);
        }
        let broken = || Failure::Unreachable("the answer broke off".to_owned());
        error.downcast_ref().map_or_else(broken, failure)
    })?;
    let headers = head.headers.iter();
    Ok(outbound::Response {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: body.to_bytes().into(),
    })
}

fn failure(error: &Error) -> Failure {
    use Error as E;
    let unreachable = |why: &str| Failure::Unreachable(why.to_owned());
    let unusable = |why: &str| Failure::Unusable(why.to_owned());
    match error {
        E::HttpRequestDenied | E::DestinationIpProhibited => Failure::Denied,
        E::ConnectionTimeout | E::ConnectionReadTimeout | E::DnsTimeout | E::HttpResponseTimeout => Failure::Timeout,
        E::HttpResponseBodySize(_) => Failure::TooLarge(MAX_BODY),
        E::HttpResponseHeaderSectionSize(_) => unusable("its head is larger than 64 KiB, or has more than 100 headers"),
        E::HttpResponseTransferCoding(_) => unusable("it has a transfer coding other than chunked"),
        E::ConnectionTerminated => unusable("the connection was closed before it was complete, or it isn't HTTP"),
        E::ConnectionLimitReached => Failure::Limited,
        E::ConnectionRefused => unreachable("it refuses the connection"),
        E::DestinationUnavailable => unreachable("no connection can be made to its address"),
        E::DnsError { .. } => unreachable("its name doesn't resolve"),
        E::TlsCertificateError => unreachable("TLS failed, and the gateway's log says why"),
        E::HttpRequestMethodInvalid => Failure::Invalid("the method can't be sent".to_owned()),
        E::HttpRequestUriInvalid => Failure::Invalid("the URL has a user name".to_owned()),
        E::HttpRequestBodySize(_) => Failure::Invalid("the body is larger than 1 MiB".to_owned()),
        other => Failure::Unreachable(other.to_string()),
    }
}
