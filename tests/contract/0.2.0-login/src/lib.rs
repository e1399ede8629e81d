//! A login by the bindings of the contract's text alone. Each function answers as the text says if it is told all that the text
//! says, and otherwise says what it isn't told.

wit_bindgen::generate!({ path: "wit", world: "login-plugin", generate_all });

use exports::portcullis::auth::authenticator;
use exports::portcullis::auth::login;
use exports::portcullis::auth::login::Arrival;
use exports::portcullis::auth::login::Departure;
use exports::portcullis::auth::login::Flow;
use exports::portcullis::auth::plugin;
use portcullis::auth::crypto::Algorithm;
use portcullis::auth::signing;
use portcullis::auth::types::Grant;
use portcullis::auth::types::Refusal;
use portcullis::auth::types::Request;
use portcullis::auth::types::User;
use wasi::logging::logging;

struct Contract;

impl plugin::Guest for Contract {
    fn settings_schema() -> String {
        r#"{"type": "object", "properties": {}, "additionalProperties": false}"#.to_owned()
    }

    fn configure(_settings: String) -> Result<(), String> {
        Ok(())
    }
}

impl authenticator::Guest for Contract {
    fn authenticate(_request: &Request) -> Result<Grant, Refusal> {
        Err(Refusal::NotMine(None))
    }
}

impl login::Guest for Contract {
    fn begin(flow: Flow) -> Result<Departure, Refusal> {
        told(flow.redirect_uri.ends_with("/callback"), "redirect-uri")?;
        // No key is granted.
        told(
            signing::sign("none", Algorithm::Es256, b"message").is_err(),
            "signing.sign",
        )?;
        logging::log(logging::Level::Info, "contract", "an attempt begins");
        Ok(Departure {
            location: format!(
                "https://login.test/authorize?state={}&silent={}",
                flow.state, flow.silent
            ),
            memo: flow.state.into_bytes(),
        })
    }

    fn finish(flow: Flow, memo: Vec<u8>, parameters: Vec<(String, String)>) -> Result<Arrival, Refusal> {
        told(memo == flow.state.as_bytes(), "memo")?;
        match parameters.as_slice() {
            [(name, code)] if name == "code" => Ok(arrival(code)),
            [(name, _)] if name == "ask" => Err(Refusal::NotMine(None)),
            _ => Err(Refusal::Forbidden(("no code".to_owned(), None))),
        }
    }

    fn renew(keep: Vec<u8>) -> Result<Arrival, Refusal> {
        match keep.as_slice() {
            b"alice" => Ok(arrival("alice")),
            _ => Err(Refusal::Unauthenticated(("it is over".to_owned(), None))),
        }
    }

    fn end(keep: Option<Vec<u8>>, return_to: String) -> Option<String> {
        let keep = String::from_utf8(keep?).ok()?;
        Some(format!("https://login.test/end?who={keep}&then={return_to}"))
    }

    fn notice(parameters: Vec<(String, String)>) -> Result<Vec<String>, Refusal> {
        match parameters.as_slice() {
            [(name, who)] if name == "who" => Ok(vec![format!("sub:{who}")]),
            _ => Err(Refusal::Unavailable("who?".to_owned())),
        }
    }
}

fn told(holds: bool, what: &str) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(Refusal::Unavailable(what.to_owned()))
    }
}

fn arrival(name: &str) -> Arrival {
    Arrival {
        grant: Grant {
            user: User {
                name: name.to_owned(),
                groups: vec!["group".to_owned()],
                admin: false,
                attributes: vec![("a".to_owned(), "b".to_owned())],
            },
            valid_for: Some(300),
            response_headers: vec![("x-contract".to_owned(), b"kept".to_vec())],
        },
        keep: Some(name.as_bytes().to_vec()),
        handles: vec![format!("sub:{name}")],
    }
}

export!(Contract);
