//! A component that uses every interface of the contract, by the bindings of its text alone. It grants a request if everything
//! answers as that text says, and otherwise says what doesn't.

wit_bindgen::generate!({ path: "wit", world: "authenticator-plugin", generate_all });

use exports::portcullis::auth::authenticator;
use exports::portcullis::auth::plugin;
use portcullis::auth::cache;
use portcullis::auth::crypto;
use portcullis::auth::negotiate;
use portcullis::auth::outbound;
use portcullis::auth::types::Challenge;
use portcullis::auth::types::Grant;
use portcullis::auth::types::Refusal;
use portcullis::auth::types::Request;
use portcullis::auth::types::User;
use wasi::clocks::monotonic_clock;
use wasi::clocks::wall_clock;
use wasi::http::types::Fields;
use wasi::logging::logging;
use wasi::random::random;

struct Contract;

impl plugin::Guest for Contract {
    fn settings_schema() -> String {
        r#"{"type": "object", "properties": {"word": {"type": "string"}}, "additionalProperties": false}"#.to_owned()
    }

    fn configure(settings: String) -> Result<(), String> {
        if settings.contains("refused") {
            Err("word: it is refused".to_owned())
        } else {
            Ok(())
        }
    }
}

impl authenticator::Guest for Contract {
    fn authenticate(request: &Request) -> Result<Grant, Refusal> {
        match request.header("x-word").as_slice() {
            [] => Err(Refusal::NotMine(Some(challenge()))),
            [word] if word == b"forbidden" => Err(Refusal::Forbidden(("not this word".to_owned(), None))),
            [word] if word == b"all" => all(request).map_err(|what| Refusal::Unavailable(what.to_owned())),
            _ => Err(Refusal::Unauthenticated(("no such word".to_owned(), Some(challenge())))),
        }
    }
}

fn challenge() -> Challenge {
    Challenge {
        scheme: "Word".to_owned(),
        parameters: vec![("realm".to_owned(), "contract".to_owned())],
    }
}

fn all(request: &Request) -> Result<Grant, &'static str> {
    let must = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    must(request.method() == "GET", "method")?;
    must(request.scheme() == "https", "scheme")?;
    must(request.authority().as_deref() == Some("contract.test"), "authority")?;
    must(request.path() == "/a", "path")?;
    must(request.query().as_deref() == Some("b=c"), "query")?;
    must(request.cookie("d") == [b"e"], "cookie")?;
    must(
        request.client_address().as_deref() == Some("192.0.2.1"),
        "client-address",
    )?;
    must(request.client_certificate().is_none(), "client-certificate")?;
    must(request.route().is_none(), "route")?;
    cache::set("key", b"value", 60);
    must(cache::get("key").as_deref() == Some(b"value"), "cache.get")?;
    must(!cache::add("key", b"other", 60), "cache.add")?;
    cache::delete("key");
    must(cache::get("key").is_none(), "cache.delete")?;
    let key = br#"{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let verified = crypto::verify(crypto::Algorithm::Hs256, key, b"message", b"signature");
    must(verified == Ok(false), "crypto.verify")?;
    must(
        crypto::verify_password(b"password", "no hash").is_err(),
        "crypto.verify-password",
    )?;
    let accepted = negotiate::accept("none", b"token");
    must(matches!(accepted, Err(negotiate::Failure::Denied)), "negotiate.accept")?;
    let fetched = outbound::fetch(&outbound::Request {
        method: "GET".to_owned(),
        url: "http://192.0.2.1/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: Some(1000),
        max_body: None,
    });
    must(matches!(fetched, Err(outbound::Failure::Denied)), "outbound.fetch")?;
    logging::log(logging::Level::Info, "contract", "every interface answers");
    must(monotonic_clock::now() <= monotonic_clock::now(), "monotonic-clock")?;
    must(wall_clock::now().seconds > 0, "wall-clock")?;
    must(random::get_random_bytes(8).len() == 8, "random")?;
    must(Fields::new().entries().is_empty(), "http.fields")?;
    Ok(Grant {
        user: User {
            name: "contract".to_owned(),
            groups: vec!["group".to_owned()],
            admin: true,
            attributes: vec![("a".to_owned(), "b".to_owned())],
        },
        valid_for: Some(1),
        response_headers: vec![("x-contract".to_owned(), b"kept".to_vec())],
    })
}

export!(Contract);
