//! A request over `wasi:http`, from the first byte sent to the last one received, within one deadline.

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

/// How much of a body is asked for at once, in bytes.
const CHUNK: u64 = 16 * 1024;

pub(crate) fn send(request: &HttpRequest) -> Result<Response, HttpError> {
    let deadline = Deadline::after(u64::try_from(request.timeout.as_nanos()).unwrap_or(u64::MAX));
    let options = wasi::RequestOptions::new();
    // A host that doesn't know one of these refuses it; the deadline holds all the same.
    let _ = options.set_connect_timeout(Some(deadline.nanoseconds));
    let _ = options.set_first_byte_timeout(Some(deadline.nanoseconds));
    let _ = options.set_between_bytes_timeout(Some(deadline.nanoseconds));
    let answer = outgoing_handler::handle(outgoing(request)?, Some(options)).map_err(|code| failure(&code))?;
    deadline.wait(&answer.subscribe())?;
    let answer = match answer.get() {
        Some(Ok(answer)) => answer.map_err(|code| failure(&code))?,
        _ => return Err(HttpError::Unreachable("the gateway gave no answer".to_owned())),
    };
    let headers = answer.headers().entries();
    Ok(Response { status: answer.status(), headers, body: body(&answer, &deadline, request.max_body)? })
}

/// The same request in the words of `wasi:http`.
fn outgoing(request: &HttpRequest) -> Result<wasi::OutgoingRequest, HttpError> {
    let (scheme, authority, path) = split(&request.url)?;
    let headers = wasi::Fields::from_list(&request.headers)
        .map_err(|_| HttpError::Invalid("a header has a name or a value that can't be sent".to_owned()))?;
    let outgoing = wasi::OutgoingRequest::new(headers);
    outgoing
        .set_scheme(Some(&scheme))
        .and_then(|()| outgoing.set_authority(Some(authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&path)))
        .map_err(|()| HttpError::Invalid("the URL is malformed".to_owned()))?;
    Ok(outgoing)
}

/// Scheme, authority, and path with query of an absolute URL.
fn split(url: &str) -> Result<(wasi::Scheme, &str, String), HttpError> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("http", rest)) => (wasi::Scheme::Http, rest),
        Some(("https", rest)) => (wasi::Scheme::Https, rest),
        _ => return Err(HttpError::Invalid("the URL must start with http:// or https://".to_owned())),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((scheme, authority, path))
}

fn body(answer: &wasi::IncomingResponse, deadline: &Deadline, max: usize) -> Result<Vec<u8>, HttpError> {
    let gone = |()| HttpError::Unreachable("the answer has no body".to_owned());
    let incoming = answer.consume().map_err(gone)?;
    let stream = incoming.stream().map_err(gone)?;
    let mut body = Vec::new();
    while let Some(chunk) = chunk(&stream, deadline)? {
        if body.len() + chunk.len() > max {
            return Err(HttpError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The next piece of the body; none at its end.
fn chunk(stream: &InputStream, deadline: &Deadline) -> Result<Option<Vec<u8>>, HttpError> {
    deadline.wait(&stream.subscribe())?;
    match stream.read(CHUNK) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(wasi::http_error_code(&error)
            .map_or_else(|| HttpError::Unreachable("the answer broke off".to_owned()), |code| failure(&code))),
    }
}

/// One point in time for the whole exchange.
struct Deadline {
    timer: Pollable,
    nanoseconds: u64,
}

impl Deadline {
    fn after(nanoseconds: u64) -> Self {
        Self { timer: monotonic_clock::subscribe_duration(nanoseconds), nanoseconds }
    }

    /// Waits until something is ready; an error when the time is up first.
    fn wait(&self, pollable: &Pollable) -> Result<(), HttpError> {
        // Index 0 is what we wait for: when both are ready the answer counts.
        if poll::poll(&[pollable, &self.timer]).contains(&0) { Ok(()) } else { Err(HttpError::TimedOut) }
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
        E::HttpResponseBodySize(_) => HttpError::TooLarge,
        E::HttpRequestMethodInvalid | E::HttpRequestUriInvalid | E::HttpRequestUriTooLong => {
            HttpError::Invalid("the URL is malformed".to_owned())
        }
        other => HttpError::Unreachable(format!("{other:?}")),
    }
}
