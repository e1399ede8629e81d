//! Sends a request over `wasi:http`. One deadline covers the exchange, from the first byte sent to the last byte
//! received.

use std::time::Duration;

use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::http::outgoing_handler;
use super::bindings::wasi::http::types as wasi;
use super::bindings::wasi::io::poll;
use super::bindings::wasi::io::poll::Pollable;
use super::bindings::wasi::io::streams::InputStream;
use super::bindings::wasi::io::streams::StreamError;
use crate::Response;
use crate::http::HttpError;
use crate::http::HttpRequest;
use crate::http::Method;
use crate::url::Url;

/// The largest body of a response that the gateway passes on, in bytes.
const MAX_RESPONSE: u64 = 8 * 1024 * 1024;

/// How many bytes of a body are read or written at once.
const CHUNK: usize = 16 * 1024;

pub(crate) fn send(request: &HttpRequest, url: &Url, deadline: &Deadline) -> Result<Response, HttpError> {
    let options = wasi::RequestOptions::new();
    // A host may not support these options; the deadline applies all the same.
    let _ = options.set_connect_timeout(Some(deadline.nanoseconds));
    let _ = options.set_first_byte_timeout(Some(deadline.nanoseconds));
    let _ = options.set_between_bytes_timeout(Some(deadline.nanoseconds));
    let outgoing = outgoing(request, url)?;
    let content = match request.body.as_slice() {
        [] => None,
        bytes => Some((outgoing.body().map_err(refused)?, bytes)),
    };
    let answer = outgoing_handler::handle(outgoing, Some(options)).map_err(|code| failure(&code))?;
    // A server that answers early doesn't read the rest of the body, and its answer says why.
    let written = content.map_or(Ok(()), |(body, bytes)| write(body, bytes, deadline));
    if written != Err(HttpError::TimedOut) {
        deadline.wait(&answer.subscribe())?;
    }
    let answer = match answer.get() {
        Some(Ok(answer)) => answer.map_err(|code| failure(&code))?,
        _ => {
            written?;
            return Err(HttpError::Unreachable("the gateway gave no answer".to_owned()));
        }
    };
    let headers = answer.headers().entries();
    if let Some(coding) = coding(&headers) {
        return Err(HttpError::Unusable(format!(
            "it has the content coding {coding}, which wasn't asked for"
        )));
    }
    Ok(Response {
        status: answer.status(),
        headers,
        body: body(&answer, deadline, request.max_body)?,
    })
}

/// The content coding of an answer. `None` if it isn't coded.
fn coding(headers: &[(String, Vec<u8>)]) -> Option<String> {
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"))?;
    let is_plain = value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    (!is_plain).then(|| format!("{:?}", String::from_utf8_lossy(value)))
}

/// The deadline of the whole exchange.
pub(crate) struct Deadline {
    timer: Pollable,
    nanoseconds: u64,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Self {
            timer: monotonic_clock::subscribe_duration(nanoseconds),
            nanoseconds,
        }
    }

    /// Waits until `pollable` is ready. Returns an error if the deadline passes first.
    fn wait(&self, pollable: &Pollable) -> Result<(), HttpError> {
        // Index 0 is `pollable`; if both are ready, the response counts.
        if poll::poll(&[pollable, &self.timer]).contains(&0) {
            Ok(())
        } else {
            Err(HttpError::TimedOut)
        }
    }
}

/// Converts the request to the types of `wasi:http`.
fn outgoing(request: &HttpRequest, url: &Url) -> Result<wasi::OutgoingRequest, HttpError> {
    let headers = wasi::Fields::from_list(&request.headers)
        .map_err(|_| HttpError::Invalid("a header has a name or a value that can't be sent".to_owned()))?;
    let scheme = if url.https {
        wasi::Scheme::Https
    } else {
        wasi::Scheme::Http
    };
    let method = match request.method {
        Method::Get => wasi::Method::Get,
        Method::Post => wasi::Method::Post,
    };
    let outgoing = wasi::OutgoingRequest::new(headers);
    outgoing
        .set_method(&method)
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(&url.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&url.path_and_query)))
        .map_err(|()| HttpError::Invalid("the URL is malformed".to_owned()))?;
    Ok(outgoing)
}

/// Writes the body of a request, as much at a time as the stream accepts.
fn write(body: wasi::OutgoingBody, mut bytes: &[u8], deadline: &Deadline) -> Result<(), HttpError> {
    let stream = body.write().map_err(refused)?;
    let broken = |_: StreamError| HttpError::Unreachable("the request broke off".to_owned());
    while !bytes.is_empty() {
        deadline.wait(&stream.subscribe())?;
        let room = usize::try_from(stream.check_write().map_err(broken)?).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(room.min(bytes.len()).min(CHUNK));
        stream.write(now).map_err(broken)?;
        bytes = later;
    }
    stream.flush().map_err(broken)?;
    deadline.wait(&stream.subscribe())?;
    drop(stream);
    wasi::OutgoingBody::finish(body, None).map_err(|code| failure(&code))
}

fn refused(_: ()) -> HttpError {
    HttpError::Invalid("the gateway does not accept a body".to_owned())
}

fn body(answer: &wasi::IncomingResponse, deadline: &Deadline, max: usize) -> Result<Vec<u8>, HttpError> {
    let gone = |()| HttpError::Unreachable("the answer has no body".to_owned());
    let incoming = answer.consume().map_err(gone)?;
    let stream = incoming.stream().map_err(gone)?;
    let mut body = Vec::new();
    while let Some(chunk) = chunk(&stream, deadline)? {
        if body.len() + chunk.len() > max {
            return Err(HttpError::TooLarge(max as u64));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The next chunk of the body, or `None` at its end.
fn chunk(stream: &InputStream, deadline: &Deadline) -> Result<Option<Vec<u8>>, HttpError> {
    deadline.wait(&stream.subscribe())?;
    match stream.read(CHUNK as u64) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(wasi::http_error_code(&error).map_or_else(
            || HttpError::Unreachable("the answer broke off".to_owned()),
            |code| failure(&code),
        )),
    }
}

fn failure(code: &wasi::ErrorCode) -> HttpError {
    use wasi::ErrorCode as E;
    match code {
        E::HttpRequestDenied | E::DestinationIpProhibited => HttpError::Denied,
        E::ConnectionTimeout
        | E::ConnectionReadTimeout
        | E::ConnectionWriteTimeout
        | E::DnsTimeout
        | E::HttpResponseTimeout => HttpError::TimedOut,
        E::HttpResponseBodySize(most) => HttpError::TooLarge(most.unwrap_or(MAX_RESPONSE)),
        E::HttpResponseHeaderSectionSize(_) => {
            HttpError::Unusable("its head is larger than 64 KiB, or has more than 100 headers".to_owned())
        }
        E::HttpResponseTransferCoding(_) => {
            HttpError::Unusable("it has a transfer coding other than chunked".to_owned())
        }
        E::ConnectionTerminated => {
            HttpError::Unusable("the connection was closed before it was complete, or it isn't HTTP".to_owned())
        }
        E::ConnectionLimitReached => HttpError::Limited,
        E::ConnectionRefused => HttpError::Unreachable("it refuses the connection".to_owned()),
        E::DestinationUnavailable => HttpError::Unreachable("no connection can be made to its address".to_owned()),
        E::DnsError(_) => HttpError::Unreachable("its name doesn't resolve".to_owned()),
        E::TlsCertificateError | E::TlsProtocolError | E::TlsAlertReceived(_) => {
            HttpError::Unreachable("TLS failed, and the gateway's log says why".to_owned())
        }
        E::HttpRequestMethodInvalid | E::HttpRequestUriInvalid | E::HttpRequestUriTooLong => {
            HttpError::Invalid("the URL is malformed".to_owned())
        }
        other => HttpError::Unreachable(format!("{other:?}").replace("ErrorCode::", "")),
    }
}
