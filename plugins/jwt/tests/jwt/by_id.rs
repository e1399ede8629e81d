//! Keys that an issuer publishes one by one. No token makes the gateway ask for anything but a key, or ask often.

use std::time::Duration;

use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::Response;
use portcullis_sdk::http::HttpError;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint;
use crate::mint::P256;
use crate::providers::lasting;
use crate::providers::sent;

fn by_id(url: &str) -> Value {
    json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "key_url": url}]})
}

fn settings() -> Value {
    by_id("https://keys.example/pem/{kid}.txt")
}

#[test]
fn a_key_is_fetched_once_and_used_for_cache_ttl() {
    let host = host();
    let url = "https://keys.example/pem/a_1-B.txt";
    for body in [P256.pem(), P256.jwk().to_string()] {
        host.answer(url, Response::new(200).with_body(body));
        for _ in 0..5 {
            assert_eq!(summary(ask(&settings(), &lasting(&P256, "a_1-B"))), "alice");
        }
        host.advance(Duration::from_secs(600));
    }
    assert_eq!(sent(&host), [url, url]);
    host.answer(url, HttpError::TimedOut);
    assert_eq!(
        summary(ask(&settings(), &lasting(&P256, "a_1-B"))),
        "alice",
        "the old key is used"
    );
    host.advance(Duration::from_secs(25 * 60 * 60));
    expect(
        ask(&settings(), &lasting(&P256, "a_1-B")),
        "503: https://keys.example/pem/a_1-B.txt: no complete answer in time",
    );
}

/// Row B11 of the field reports: another key under an old id is found with the first token that it signed.
#[test]
fn a_new_key_under_an_old_id_is_fetched() {
    let host = host();
    let url = "https://keys.example/pem/a.txt";
    host.answer(url, Response::new(200).with_body(P256.pem()));
    assert_eq!(summary(ask(&settings(), &lasting(&P256, "a"))), "alice");
    let new = mint::p256();
    host.answer(url, Response::new(200).with_body(new.pem()));
    expect(ask(&settings(), &lasting(&new, "a")), "401 invalid_token: no key");
    assert_eq!(sent(&host).len(), 1, "not within min_refresh_interval");
    host.advance(Duration::from_secs(30));
    assert_eq!(summary(ask(&settings(), &lasting(&new, "a"))), "alice");
    for _ in 0..10 {
        expect(ask(&settings(), &lasting(&P256, "a")), "401 invalid_token: no key");
    }
    assert_eq!(sent(&host).len(), 2);
    // While the key can't be fetched, the known one is used, and the log says why.
    host.answer(url, HttpError::TimedOut);
    host.advance(Duration::from_secs(30));
    expect(ask(&settings(), &lasting(&P256, "a")), "401 invalid_token: no key");
    assert_eq!(summary(ask(&settings(), &lasting(&new, "a"))), "alice");
    let said = host.log().into_iter().map(|(_, line)| line);
    let said =
        Vec::from_iter(said.filter(|line| line.starts_with("a key can't be fetched: https://keys.example/pem/a.txt")));
    assert_eq!(said.len(), 1, "{said:?}");
}

/// Row C14 of the field reports.
#[test]
fn a_redirect_to_a_key_is_followed_on_the_same_server() {
    let host = host();
    host.answer("https://keys.example/pem/a.txt", Response::redirect("/new/a.txt"));
    host.answer(
        "https://keys.example/new/a.txt",
        Response::new(200).with_body(P256.pem()),
    );
    assert_eq!(summary(ask(&settings(), &lasting(&P256, "a"))), "alice");
}

#[test]
fn a_key_verifies_its_own_tokens_only() {
    let host = host();
    host.answer(
        "https://keys.example/pem/a.txt",
        Response::new(200).with_body(mint::p256().pem()),
    );
    expect(
        ask(&settings(), &lasting(&P256, "a")),
        "401 invalid_token: no key of https://id.example.org verifies",
    );
    let anonymous = P256.token(&json!({"alg": "ES256"}), &claims());
    expect(
        ask(&settings(), &anonymous),
        "401 invalid_token: the token names no key (kid)",
    );
}

/// Security case 34: an id is no path.
#[test]
fn an_id_stays_in_its_place() {
    let host = host();
    for id in [
        "",
        "..",
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "a b",
        "a\\b",
        "é",
        "a.b",
        &"x".repeat(129),
    ] {
        expect(
            ask(&settings(), &lasting(&P256, id)),
            "401 invalid_token: no key of https://id.example.org has the id",
        );
    }
    assert!(sent(&host).is_empty());
}

/// Security case 34: whatever ids tokens name, five keys are fetched in each `min_refresh_interval`.
#[test]
fn a_flood_of_unknown_ids_causes_few_requests() {
    let host = host();
    host.serve(|request| {
        Ok(if request.url.ends_with("/good.txt") {
            Response::new(200).with_body(P256.pem())
        } else {
            Response::new(404)
        })
    });
    assert_eq!(summary(ask(&settings(), &lasting(&P256, "good"))), "alice");
    for n in 0..1000 {
        let outcome = summary(ask(&settings(), &lasting(&P256, &format!("random-{n}"))));
        let expected = if n < 4 {
            "401 invalid_token: no key"
        } else {
            "503: https://keys.example/pem/random-"
        };
        assert!(outcome.starts_with(expected), "{n}: {outcome}");
    }
    assert_eq!(sent(&host).len(), 5);
    assert_eq!(
        summary(ask(&settings(), &lasting(&P256, "good"))),
        "alice",
        "a known key isn't fetched"
    );
    expect(ask(&settings(), &lasting(&P256, "random-0")), "401 ");
    assert_eq!(sent(&host).len(), 5, "what isn't there is known, too");
    host.advance(Duration::from_secs(30));
    expect(ask(&settings(), &lasting(&P256, "random-0")), "401 ");
    assert_eq!(sent(&host).len(), 6);
}

#[test]
fn an_answer_that_is_no_key_is_503() {
    for (answer, problem) in [
        (Response::new(500), "it answered 500, not 200"),
        (
            Response::new(200).with_body("<html>"),
            "it is neither a JWK Set nor public keys in PEM",
        ),
        (
            Response::new(200).with_body(b"\xff".to_vec()),
            "the answer is not UTF-8",
        ),
        (
            Response::new(200).with_body(vec![b' '; 17 * 1024]),
            "larger than 16384 bytes",
        ),
        (
            Response::redirect("https://elsewhere.example/a"),
            "it answered 302, not 200",
        ),
    ] {
        let host = host();
        host.answer("https://keys.example/pem/a.txt", answer);
        let outcome = summary(ask(&settings(), &lasting(&P256, "a")));
        assert!(outcome.starts_with("503: ") && outcome.contains(problem), "{outcome}");
    }
}

#[test]
fn an_answer_may_have_16_kib() {
    let host = host();
    let body = format!("{:16384}", P256.jwk().to_string());
    host.answer("https://keys.example/pem/a.txt", Response::new(200).with_body(body));
    assert_eq!(summary(ask(&settings(), &lasting(&P256, "a"))), "alice");
}

#[test]
fn a_url_has_one_place_in_its_path() {
    for url in [
        "https://keys.example/",
        "https://{kid}.example/",
        "https://{kid}",
        "https://keys.example/{kid}/{kid}",
        "http://keys.example/{kid}",
    ] {
        let error = configure::<Jwt>(&by_id(url).to_string()).unwrap_err();
        assert!(error.contains("key_url: "), "{url}: {error}");
    }
    let _host = host();
    assert!(configure::<Jwt>(&settings().to_string()).is_ok());
}
