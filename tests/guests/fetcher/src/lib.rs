//! An authenticator that asks other servers what the request's headers tell it to, and answers the client with what it
//! got. The tests see what the gateway lets it send, and what comes back.

use portcullis_sdk::Response;
use portcullis_sdk::http;
use portcullis_sdk::prelude::*;

/// Asks for `X-Url`, in the ways that the other headers name.
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
        let told = |name: &str| {
            let values = request.header(name);
            values.first().map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let Some(mut url) = told("x-url") else {
            return Err(Refusal::not_mine(None));
        };
        let mut hops: u32 = told("x-follow").and_then(|hops| hops.parse().ok()).unwrap_or_default();
        loop {
            let asked = match told("x-body") {
                Some(body) => http::post(&url).body(body, "text/plain"),
                None => http::get(&url),
            };
            let headers = [("authorization", told("x-authorization")), ("cache-control", told("x-cache-control"))];
            let asked = headers.into_iter().fold(asked, |asked, (name, value)| match value {
                Some(value) => asked.header(name, value),
                None => asked,
            });
            let answer = match asked.send() {
                Ok(answer) => answer,
                Err(error) => {
                    let failed = Response::new(502).with_header("x-error", error.to_string());
                    return Err(Refusal::respond(failed));
                }
            };
            // As careless as can be: it follows a redirect wherever it leads, with every header.
            match answer.header("location").filter(|_| hops > 0) {
                Some(location) => url = String::from_utf8_lossy(location).into_owned(),
                None => return Err(Refusal::respond(passed_on(answer))),
            }
            hops -= 1;
        }
    }
}

/// The answer in one that a client may have.
fn passed_on(answer: Response) -> Response {
    let mut passed_on = Response::new(200).with_header("x-status", answer.status.to_string());
    for (from, to) in [("age", "x-age"), ("location", "x-location")] {
        if let Some(value) = answer.header(from) {
            passed_on = passed_on.with_header(to, value);
        }
    }
    passed_on.with_body(answer.body)
}

portcullis_sdk::export!(Fetcher);
