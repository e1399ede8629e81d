//! An authenticator and a login that answer as they are told, with what the built-in ones never send: pages and redirects of
//! their own, headers for the client, and answers that break the rules.
//!
//! The format is `Authorization: Script VERB[,NAME=VALUE]…`, where the names and values are headers: `respond
//! 302,location=/login`, `grant`, `unavailable`, `slow`.
//!
//! A login is told by the state of the flow, by the parameter `do`, by what is kept, or by the address to return to: `go URL
//! BYTES-OF-MEMO`, `arrive USER BYTES-TO-KEEP HANDLE… +GROUP`, `arrive-for SECONDS USER NEXT-SCRIPT`, `place URL`, `handles
//! HANDLE…`, `sign KEY`, `refuse KIND`, `panic`, `loop`. Where a gateway asks, the state and the address to return to are its own; the
//! settings `begin` and `end` are the scripts then, as are `finish` and `notice` without the parameter.

use std::time::Duration;

use portcullis_sdk::Arrival;
use portcullis_sdk::Departure;
use portcullis_sdk::Flow;
use portcullis_sdk::Login;
use portcullis_sdk::Parameters;
use portcullis_sdk::Response;
use portcullis_sdk::crypto::Algorithm;
use portcullis_sdk::prelude::*;
use portcullis_sdk::signing;

/// Does what `Authorization` says.
pub struct Scripted(Settings);

settings! {
    pub struct Settings {
        /// What `begin` does.
        pub begin: Option<String>,
        /// What `finish` does without the parameter `do`.
        pub finish: Option<String>,
        /// What `notice` does without the parameter `do`.
        pub notice: Option<String>,
        /// What `end` does.
        pub end: Option<String>,
    }
}

impl Authenticator for Scripted {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self(settings))
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let values = request.header("authorization");
        let command = values
            .first()
            .map(|value| String::from_utf8_lossy(value))
            .unwrap_or_default();
        let Some(script) = command.strip_prefix("Script ") else {
            return Err(Refusal::not_mine(Challenge::new("Script")));
        };
        let mut words = script.split(',');
        let verb = words.next().unwrap_or_default();
        let headers = words.filter_map(|word| word.split_once('='));
        match verb.split_once(' ').unwrap_or((verb, "")) {
            ("grant", _) => Ok(headers.fold(User::new("alice").into(), |grant: Grant, (name, value)| {
                grant.with_response_header(name, value)
            })),
            ("respond", status) => {
                let page = Response::new(status.parse().unwrap_or(500)).with_body("a page of its own");
                Err(Refusal::respond(
                    headers.fold(page, |page, (name, value)| page.with_header(name, value)),
                ))
            }
            ("unavailable", _) => Err(Refusal::unavailable("requested by the test")),
            ("forbid", _) => Err(Refusal::forbidden("requested by the test", None)),
            ("slow", _) => loop {
                std::hint::black_box(());
            },
            _ => Err(Refusal::unauthenticated("no such verb", Challenge::new("Script"))),
        }
    }
}

impl Login for Scripted {
    /// A script is the same each time. Tests embed another manifest in a component for which it isn't to be true.
    const IDEMPOTENT_RENEWAL: bool = true;

    fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
        match words(self.0.begin.as_deref().unwrap_or(&flow.state)).as_slice() {
            ["go", url, memo] => {
                // The provider of the tests reads these from the address.
                let told = format!("{url}?state={}&redirect_uri={}&silent={}", flow.state, flow.redirect_uri, flow.silent);
                let url = self.0.begin.as_ref().map_or((*url).to_owned(), |_| told);
                Ok(Departure::to(url).with_memo(filled(memo)))
            }
            ["sign", key] => {
                let signed = signing::sign(key, Algorithm::Es256, flow.redirect_uri.as_bytes());
                let signed = signed.map_err(Refusal::unavailable)?;
                Ok(Departure::to("https://id.example/authorize").with_memo(signed))
            }
            other => Err(refused(other)),
        }
    }

    fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
        let script = parameters.get("do").or(self.0.finish.as_deref());
        let mut arrival = arrival(script.unwrap_or_default())?;
        let seen = format!("{} {} {} {}", flow.state, flow.redirect_uri, flow.silent, memo.len());
        arrival.user = arrival.user.with_attribute("flow", seen);
        Ok(arrival)
    }

    fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
        arrival(&String::from_utf8_lossy(keep))
    }

    fn end(&self, keep: Option<&[u8]>, return_to: &str) -> Option<String> {
        match words(self.0.end.as_deref().unwrap_or(return_to)).as_slice() {
            ["place", url] if self.0.end.is_some() => Some(format!("{url}?return_to={return_to}")),
            ["place", url] => Some((*url).to_owned()),
            ["kept"] => keep.map(|keep| String::from_utf8_lossy(keep).into_owned()),
            ["nowhere"] => None,
            other => {
                refused(other);
                None
            }
        }
    }

    fn notice(&self, parameters: &Parameters) -> Result<Vec<String>, Refusal> {
        let script = parameters.get("do").or(self.0.notice.as_deref());
        match words(script.unwrap_or_default()).as_slice() {
            ["handles", handles @ ..] => Ok(handles.iter().map(|handle| named(handle)).collect()),
            other => Err(refused(other)),
        }
    }
}

fn arrival(script: &str) -> Result<Arrival, Refusal> {
    match words(script).as_slice() {
        ["arrive", user, keep, handles @ ..] => {
            let arrival = Arrival::new(User::new(*user), Duration::from_secs(60)).with_keep(filled(keep));
            Ok(handles.iter().fold(arrival, |mut arrival, handle| match handle.strip_prefix('+') {
                Some(group) => {
                    arrival.user = arrival.user.with_groups([named(group)]);
                    arrival
                }
                None => arrival.with_handle(named(handle)),
            }))
        }
        // What is kept is the script of the next renewal, in which commas stand for spaces, and semicolons for commas.
        ["arrive-for", seconds, user, kept @ ..] => {
            let valid_for = Duration::from_secs(seconds.parse().unwrap_or_default());
            let arrival = Arrival::new(User::new(*user), valid_for);
            Ok(kept.iter().fold(arrival, |arrival, next| {
                arrival.with_keep(next.replace(',', " ").replace(';', ","))
            }))
        }
        other => Err(refused(other)),
    }
}

fn words(script: &str) -> Vec<&str> {
    script.split(' ').collect()
}

/// As many bytes as the text says, or the text.
fn filled(size: &str) -> Vec<u8> {
    size.parse().map_or_else(|_| size.into(), |size| vec![b'x'; size])
}

/// A handle of this many bytes, or this handle.
fn named(handle: &str) -> String {
    handle.parse().map_or_else(|_| handle.to_owned(), |size| "x".repeat(size))
}

fn refused(words: &[&str]) -> Refusal {
    let why = "requested by the test";
    match words {
        ["refuse", "not-mine"] => Refusal::not_mine(Challenge::new("Ignored")),
        ["refuse", "unauthenticated"] => Refusal::unauthenticated(why, None),
        ["refuse", "forbidden"] => Refusal::forbidden(why, None),
        ["refuse", "unavailable"] => Refusal::unavailable(why),
        ["refuse", "respond"] => Refusal::respond(Response::redirect("https://evil.example")),
        ["panic"] => panic!("{why}"),
        ["loop"] => loop {
            std::hint::black_box(());
        },
        _ => Refusal::unavailable("no such verb"),
    }
}

portcullis_sdk::export!(Scripted, login);
