//! An authenticator without the SDK, which uses the contract directly. It does what the header `X-Do`, or else
//! `Authorization`, says: a command and its arguments.

mod answer;
mod configure;
mod exchange;
mod flood;
mod network;

wit_bindgen::generate!({ path: "../../../wit", world: "authenticator-plugin", generate_all });

use exports::portcullis::auth::authenticator;
use exports::portcullis::auth::plugin;
use portcullis::auth::cache;
use portcullis::auth::negotiate;
use portcullis::auth::types::Grant;
use portcullis::auth::types::Refusal;
use portcullis::auth::types::Request;
use portcullis::auth::types::User;

struct Prober;

impl plugin::Guest for Prober {
    fn settings_schema() -> String {
        "{}".to_owned()
    }

    fn configure(settings: String) -> Result<(), String> {
        configure::configure(&settings);
        Ok(())
    }
}

impl authenticator::Guest for Prober {
    fn authenticate(request: &Request) -> Result<Grant, Refusal> {
        let input = [request.header("x-do"), request.header("authorization")].concat();
        let input = String::from_utf8(input.into_iter().next().unwrap_or_default()).unwrap_or_default();
        let (command, rest) = input.split_once(' ').unwrap_or((&input, ""));
        match command {
            "not-mine" => Err(Refusal::NotMine(None)),
            "found" => Ok(grant("alice", configure::found())),
            "nothing" => Ok(grant("alice", Vec::new())),
            "answer" => answer::answer(rest),
            "fetch-hex" => {
                let target = String::from_utf8(answer::decode_hex(rest)).unwrap_or_default();
                network::fetch_each(&[target.as_str()])
            }
            "fetch" => network::fetch_each(&rest.split(' ').collect::<Vec<_>>()),
            "exchange" => Ok(exchange::exchange(rest)),
            "follow" => network::follow(rest),
            "upload" => network::upload(rest),
            "fan-out" => network::fan_out(rest),
            "see" => Ok(grant("alice", seen(request, rest))),
            "negotiate" => Ok(grant("alice", negotiated(rest))),
            "remember" => {
                cache::set(rest, b"1", 3600);
                Ok(grant("alice", Vec::new()))
            }
            "recall" if cache::get(rest).is_some() => Ok(grant("alice", Vec::new())),
            "recall" => Err(Refusal::Forbidden((format!("{rest} is not there"), None))),
            _ => flood::flood(command, request),
        }
    }
}

fn grant(name: &str, groups: Vec<String>) -> Grant {
    let user = User {
        name: name.to_owned(),
        groups,
        admin: false,
        attributes: Vec::new(),
    };
    Grant {
        user,
        valid_for: None,
        response_headers: Vec::new(),
    }
}

/// Returns the result of each token. The arguments are the name of an acceptor and the lengths of the tokens.
fn negotiated(arguments: &str) -> Vec<String> {
    let mut words = arguments.split(' ');
    let acceptor = words.next().unwrap_or_default();
    let tokens = words.map(|count| vec![b'x'; count.parse().unwrap_or_default()]);
    tokens
        .map(|token| match negotiate::accept(acceptor, &token) {
            Ok(accepted) => accepted.principal.len().to_string(),
            Err(failure) => failure.name().to_owned(),
        })
        .collect()
}

/// Counts the values that the plugin can see of each header, cookie and so on, and fetches `url`.
fn seen(request: &Request, url: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for name in [
        "authorization",
        "cookie",
        "x-secret",
        "x-forwarded-user",
        "host",
        "user-agent",
    ] {
        seen.push(format!("header {name} {}", request.header(name).len()));
    }
    seen.push(format!("cookie a {}", request.cookie("a").len()));
    seen.push(format!("query {}", request.query().is_some()));
    seen.push(format!("certificate {}", request.client_certificate().is_some()));
    let environment = std::env::vars().count() + std::env::args().count();
    seen.push(format!("environment {environment}"));
    seen.push(format!("http {}", network::fetch(url).unwrap_or_else(|error| error)));
    seen
}

export!(Prober);
