//! Requests to other servers, in any spelling. A target has the form `SCHEME|AUTHORITY|PATH`.

use crate::grant;
use crate::portcullis::auth::types::Grant;
use crate::portcullis::auth::types::Refusal;
use crate::wasi::http::outgoing_handler::handle;
use crate::wasi::http::types::ErrorCode;
use crate::wasi::http::types::Fields;
use crate::wasi::http::types::FutureIncomingResponse;
use crate::wasi::http::types::IncomingResponse;
use crate::wasi::http::types::Method;
use crate::wasi::http::types::OutgoingRequest;
use crate::wasi::http::types::Scheme;

/// Fetches every target. One response is enough for a grant; the groups contain all results.
pub fn fetch_each(targets: &[&str]) -> Result<Grant, Refusal> {
    let results: Vec<_> = targets.iter().map(|target| fetch(target)).collect();
    let any = results.iter().any(Result::is_ok);
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| error))
        .collect();
    if any {
        Ok(grant("alice", results))
    } else {
        Err(Refusal::Unavailable(results.join(", ")))
    }
}

/// Fetches one target and reads the whole response.
pub fn fetch(target: &str) -> Result<String, String> {
    let response = answer(&send(request(target)?)?)?;
    let status = response.status();
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    loop {
        match stream.blocking_read(16 << 10) {
            Ok(_) => {}
            Err(crate::wasi::io::streams::StreamError::Closed) => return Ok(format!("answered {status}")),
            Err(_) => return Err("the body broke off".to_owned()),
        }
    }
}

/// Follows every `Location`, which the host would not do by itself.
pub fn follow(target: &str) -> Result<Grant, Refusal> {
    let mut next = target.to_owned();
    for _ in 0..10 {
        let response = send(request(&next).map_err(Refusal::Unavailable)?).and_then(|sent| answer(&sent));
        let response = response.map_err(Refusal::Unavailable)?;
        let location = response.headers().get("location").into_iter().next();
        let Some(location) = location.and_then(|location| String::from_utf8(location).ok()) else {
            return Ok(grant("alice", vec![format!("answered {}", response.status())]));
        };
        let (scheme, rest) = location.split_once("://").unwrap_or(("", ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        next = format!("{scheme}|{authority}|/{path}");
    }
    Err(Refusal::Unavailable("it goes in circles".to_owned()))
}

/// Sends a body that never ends.
pub fn upload(target: &str) -> Result<Grant, Refusal> {
    let request = request(target).map_err(Refusal::Unavailable)?;
    let _ = request.set_method(&Method::Post);
    let body = request
        .body()
        .map_err(|()| Refusal::Unavailable("no body".to_owned()))?;
    let stream = body
        .write()
        .map_err(|()| Refusal::Unavailable("no stream".to_owned()))?;
    let _sent = send(request).map_err(Refusal::Unavailable)?;
    while stream.blocking_write_and_flush(&[b'x'; 4096]).is_ok() {}
    Err(Refusal::Unavailable("the other side had enough".to_owned()))
}

/// Sends as many requests as possible, then waits for their responses, last one first.
pub fn fan_out(target: &str) -> Result<Grant, Refusal> {
    let mut sent = Vec::new();
    while let Ok(one) = send(request(target).map_err(Refusal::Unavailable)?) {
        sent.push(one);
    }
    for one in sent.iter().rev() {
        drop(answer(one).map_err(Refusal::Unavailable)?);
    }
    Err(Refusal::Unavailable(format!("{} were answered", sent.len())))
}

fn request(target: &str) -> Result<OutgoingRequest, String> {
    let mut parts = target.splitn(3, '|');
    let (scheme, authority, path) = (parts.next(), parts.next(), parts.next());
    let scheme = match scheme.unwrap_or_default() {
        "" => None,
        "http" => Some(Scheme::Http),
        "https" => Some(Scheme::Https),
        other => Some(Scheme::Other(other.to_owned())),
    };
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(scheme.as_ref()).map_err(|()| "malformed scheme")?;
    request.set_authority(authority).map_err(|()| "malformed authority")?;
    request.set_path_with_query(path).map_err(|()| "malformed path")?;
    Ok(request)
}

fn send(request: OutgoingRequest) -> Result<FutureIncomingResponse, String> {
    handle(request, None).map_err(|error| named(&error))
}

fn answer(sent: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    sent.subscribe().block();
    match sent.get() {
        Some(Ok(answer)) => answer.map_err(|error| named(&error)),
        _ => Err("no answer".to_owned()),
    }
}

fn named(error: &ErrorCode) -> String {
    format!("{error:?}").replace("ErrorCode::", "")
}
