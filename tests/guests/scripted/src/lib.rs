//! An authenticator that answers as the request says, with what the built-in ones never send: pages and redirects of
//! its own, and headers for the client.
//!
//! The format is `Authorization: Script VERB[,NAME=VALUE]…`, where the names and values are headers: `respond
//! 302,location=/login`, `grant`, `unavailable`, `slow`.

use portcullis_sdk::Response;
use portcullis_sdk::prelude::*;

/// Does what `Authorization` says.
pub struct Scripted;

settings! {
    pub struct Settings {}
}

impl Authenticator for Scripted {
    type Settings = Settings;

    fn new(_: Settings) -> Result<Self, SettingsError> {
        Ok(Self)
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

portcullis_sdk::export!(Scripted);
