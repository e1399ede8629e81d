//! An authenticator that sends requests to other servers as the request's headers say, and returns the responses to the
//! client. The tests check what the gateway lets it send and what comes back.

use portcullis_sdk::Response;
use portcullis_sdk::http;
use portcullis_sdk::prelude::*;

/// Fetches `X-Url`, in the way that the other headers describe.
pub struct Fetcher;

settings! {
    pub struct Settings {}
}

impl Authenticator for Fetcher {
    type Settings = Settings;

    fn new(_: Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let header = |name: &str| {
            let values = request.header(name);
            values.first().map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let Some(mut url) = header("x-url") else {
            return Err(Refusal::not_mine(None));
        };
        let mut hops: u32 = header("x-follow").and_then(|hops| hops.parse().ok()).unwrap_or_default();
        loop {
            let outgoing = match header("x-body") {
                Some(body) => http::post(&url).body(body, "text/plain"),
                None => http::get(&url),
            };
            let headers = [("authorization", header("x-authorization")), ("cache-control", header("x-cache-control"))];
            let outgoing = headers.into_iter().fold(outgoing, |outgoing, (name, value)| match value {
                Some(value) => outgoing.header(name, value),
                None => outgoing,
            });
            let answer = match outgoing.send() {
                Ok(answer) => answer,
                Err(error) => {
                    let failed = Response::new(502).with_header("x-error", error.to_string());
                    return Err(Refusal::respond(failed));
                }
            };
            // It follows redirects to any server, with every header, as a careless plugin would.
            match answer.header("location").filter(|_| hops > 0) {
                Some(location) => url = String::from_utf8_lossy(location).into_owned(),
                None => return Err(Refusal::respond(wrapped(answer))),
            }
            hops -= 1;
        }
    }
}

/// Wraps the response in one that may be sent to the client.
fn wrapped(answer: Response) -> Response {
    let mut wrapped = Response::new(200).with_header("x-status", answer.status.to_string());
    for (from, to) in [("age", "x-age"), ("location", "x-location")] {
        if let Some(value) = answer.header(from) {
            wrapped = wrapped.with_header(to, value);
        }
    }
    wrapped.with_body(answer.body)
}

portcullis_sdk::export!(Fetcher);
