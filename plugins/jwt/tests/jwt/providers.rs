//! Keys that an issuer publishes. The tests cover how long they are used, rotation, an issuer that is down, and tokens
//! that try to make the gateway send requests.

use std::rc::Rc;
use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::http::HttpError;
use portcullis_sdk::testing::FakeHost;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint;
use crate::mint::P256;
use crate::mint::RSA;
use crate::mint::Signer;

pub(crate) const JWKS: &str = "https://id.example.org/jwks";

pub(crate) fn from_url() -> Value {
    json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks_url": JWKS}]})
}

pub(crate) fn publish(host: &FakeHost, keys: &[Value]) {
    host.answer(JWKS, Response::new(200).with_body(json!({ "keys": keys }).to_string()));
}

/// Makes a token that remains valid while a test moves the clock.
pub(crate) fn lasting(signer: &Signer, kid: &str) -> String {
    signer.token(
        &json!({"alg": "ES256", "kid": kid}),
        &with(claims(), "exp", NOW + 1_000_000),
    )
}

pub(crate) fn sent(host: &FakeHost) -> Vec<String> {
    host.requests().into_iter().map(|request| request.url).collect()
}

#[test]
fn keys_are_fetched_once_and_used_for_cache_ttl() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    let token = lasting(&P256, "a");
    for _ in 0..10 {
        assert_eq!(summary(ask(&from_url(), &token)), "alice");
    }
    assert_eq!(sent(&host), [JWKS]);
    assert_eq!(host.requests()[0].timeout, Duration::from_secs(2));
    host.advance(Duration::from_secs(599));
    ask(&from_url(), &token).unwrap();
    assert_eq!(sent(&host).len(), 1);
    host.advance(Duration::from_secs(1));
    for _ in 0..10 {
        ask(&from_url(), &token).unwrap();
    }
    assert_eq!(sent(&host).len(), 2);
}

#[test]
fn keys_that_the_cache_has_dropped_are_fetched_again_at_once() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    ask(&from_url(), &lasting(&P256, "a")).unwrap();
    for (key, _) in host.cache_entries() {
        portcullis_sdk::cache::delete(&key);
    }
    assert_eq!(summary(ask(&from_url(), &lasting(&P256, "a"))), "alice");
    assert_eq!(sent(&host).len(), 2);
}

/// Security case 34: a new key is found with the first token that uses it, unless keys were fetched a moment ago.
#[test]
fn a_new_key_is_found_at_once_and_replaces_the_old_one() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("old")]);
    ask(&from_url(), &lasting(&P256, "old")).unwrap();
    let new = mint::p256();
    publish(&host, &[new.jwk_with_id("new")]);
    expect(ask(&from_url(), &lasting(&new, "new")), "401 invalid_token: no key");
    assert_eq!(sent(&host).len(), 1);
    host.advance(Duration::from_secs(30));
    assert_eq!(summary(ask(&from_url(), &lasting(&new, "new"))), "alice");
    expect(
        ask(&from_url(), &lasting(&P256, "old")),
        "401 invalid_token: no key of https://id.example.org has the id \"old\"",
    );
    assert_eq!(sent(&host).len(), 2);
}

/// Security case 34: ten thousand random ids cause one request in each `min_refresh_interval`.
#[test]
fn a_flood_of_unknown_ids_causes_one_request_per_interval() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    ask(&from_url(), &lasting(&P256, "a")).unwrap();
    let jwt = portcullis_sdk::testing::configure::<portcullis_plugin_jwt::Jwt>(&from_url().to_string()).unwrap();
    let forger = mint::p256();
    let flood = |start: u32| {
        for n in start..start + 5_000 {
            let request = portcullis_sdk::testing::RequestBuilder::get("/").header(
                "authorization",
                format!("Bearer {}", lasting(&forger, &format!("random-{n}"))),
            );
            expect(
                portcullis_sdk::Authenticator::authenticate(&jwt, &request.build()),
                "401 invalid_token: no key",
            );
        }
    };
    flood(0);
    assert_eq!(sent(&host).len(), 1, "the first fetch counts");
    host.advance(Duration::from_secs(30));
    flood(5_000);
    assert_eq!(sent(&host).len(), 2);
    assert!(host.cache_entries().len() < 5, "{:?}", host.cache_entries());
}

#[test]
fn tokens_without_an_id_cause_one_request_per_interval() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    let forger = mint::p256();
    for _ in 0..100 {
        let token = forger.token(&json!({"alg": "ES256"}), &claims());
        expect(
            ask(&from_url(), &token),
            "401 invalid_token: no key of https://id.example.org verifies the signature",
        );
    }
    assert_eq!(sent(&host).len(), 1);
}

#[test]
fn bad_signatures_under_a_known_id_cause_one_request_per_interval() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    let forger = mint::p256();
    for requests in [1, 2] {
        for _ in 0..10 {
            expect(ask(&from_url(), &lasting(&forger, "a")), "401 invalid_token: no key");
        }
        assert_eq!(sent(&host).len(), requests);
        host.advance(Duration::from_secs(30));
    }
}

/// Row B11 of the field reports: the provider was set up anew, and uses an old id for its new key.
#[test]
fn a_new_key_under_an_old_id_is_found() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    ask(&from_url(), &lasting(&P256, "a")).unwrap();
    let new = mint::p256();
    publish(&host, &[new.jwk_with_id("a")]);
    host.advance(Duration::from_secs(30));
    assert_eq!(summary(ask(&from_url(), &lasting(&new, "a"))), "alice");
    expect(ask(&from_url(), &lasting(&P256, "a")), "401 invalid_token: no key");
    assert_eq!(sent(&host).len(), 2);
}

/// Row B8 of the field reports: what is left out is said, once for each fetch.
#[test]
fn keys_that_cant_be_used_are_named() {
    let host = host();
    let broken = json!({"kty": "RSA", "kid": "e", "n": "AQAB", "e": "AQAB"});
    publish(
        &host,
        &[P256.jwk_with_id("a"), with(RSA.jwk_with_id("b"), "use", "enc"), broken],
    );
    let said = || {
        let lines = host.log().into_iter().map(|(_, line)| line);
        lines.filter(|line| line.contains("can't be used")).collect::<Vec<_>>()
    };
    let expected = "https://id.example.org/jwks: 2 of 3 keys can't be used: key \"b\" is not for signatures (use); key \"e\" \
                    lacks a number that its type needs, or has one of the wrong length";
    for fetches in [1, 2] {
        for _ in 0..5 {
            assert_eq!(summary(ask(&from_url(), &lasting(&P256, "a"))), "alice");
        }
        assert_eq!(said(), vec![expected; fetches]);
        host.advance(Duration::from_secs(600));
    }
}

/// Row C14 of the field reports.
#[test]
fn a_redirect_is_followed_on_the_same_server_only() {
    for (location, expected) in [
        ("/keys", "alice"),
        ("https://id.example.org/keys", "alice"),
        (
            "https://evil.example/keys",
            "503: https://id.example.org/jwks: it answered 302, not 200",
        ),
        (
            "http://id.example.org/keys",
            "503: https://id.example.org/jwks: it answered 302, not 200",
        ),
    ] {
        let host = host();
        host.answer(JWKS, Response::redirect(location));
        let keys = json!({"keys": [P256.jwk_with_id("a")]}).to_string();
        host.answer("https://id.example.org/keys", Response::new(200).with_body(keys));
        assert_eq!(summary(ask(&from_url(), &lasting(&P256, "a"))), expected, "{location}");
    }
}

#[test]
fn a_rotated_key_without_an_id_is_found_too() {
    let host = host();
    publish(&host, &[P256.jwk()]);
    ask(&from_url(), &lasting(&P256, "a")).unwrap();
    let new = mint::p256();
    publish(&host, &[new.jwk()]);
    host.advance(Duration::from_secs(30));
    assert_eq!(summary(ask(&from_url(), &lasting(&new, "b"))), "alice");
    assert_eq!(sent(&host).len(), 2);
}

/// Security case 34: old keys are used while the issuer is down, for up to a day.
#[test]
fn old_keys_are_used_while_the_issuer_is_down() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    let token = lasting(&P256, "a");
    ask(&from_url(), &token).unwrap();
    host.answer(JWKS, HttpError::TimedOut);
    host.advance(Duration::from_secs(601));
    for _ in 0..10 {
        assert_eq!(summary(ask(&from_url(), &token)), "alice");
    }
    assert_eq!(sent(&host).len(), 2, "one attempt per interval");
    assert!(
        host.log()
            .iter()
            .any(|(_, line)| line.contains("so the old ones are used") && line.contains(JWKS))
    );
    expect(ask(&from_url(), &lasting(&P256, "b")), "401 invalid_token: no key");
    host.advance(Duration::from_secs(30));
    ask(&from_url(), &token).unwrap();
    assert_eq!(sent(&host).len(), 3);
    host.advance(Duration::from_secs(24 * 60 * 60));
    expect(
        ask(&from_url(), &token),
        "503: https://id.example.org/jwks: no complete answer in time",
    );
    publish(&host, &[P256.jwk_with_id("a")]);
    host.advance(Duration::from_secs(5));
    assert_eq!(summary(ask(&from_url(), &token)), "alice");
}

#[test]
fn an_issuer_that_is_down_from_the_start_is_503_and_retried_every_five_seconds() {
    let host = host();
    host.answer(JWKS, HttpError::Unreachable("connection refused".to_owned()));
    let token = lasting(&P256, "a");
    for _ in 0..10 {
        let expected = "503: https://id.example.org/jwks: the server can't be reached: connection refused";
        assert_eq!(summary(ask(&from_url(), &token)), expected);
    }
    assert_eq!(sent(&host).len(), 1);
    publish(&host, &[P256.jwk_with_id("a")]);
    expect(ask(&from_url(), &token), "503: ");
    host.advance(Duration::from_secs(5));
    assert_eq!(summary(ask(&from_url(), &token)), "alice");
    assert_eq!(sent(&host).len(), 2);
}

#[test]
fn the_cache_contains_only_the_necessary_parts_of_public_keys() {
    let host = host();
    let mut key = P256.jwk_with_id("a");
    key["x5c"] = json!(["certificate".repeat(1000)]);
    key["d"] = "private".into();
    publish(
        &host,
        &[
            key,
            json!({"kty": "oct", "k": "secret", "kid": "o"}),
            with(RSA.jwk(), "use", "enc"),
        ],
    );
    ask(&from_url(), &lasting(&P256, "a")).unwrap();
    let stored: Vec<_> = host
        .cache_entries()
        .iter()
        .filter_map(|(key, _)| portcullis_sdk::cache::get(key))
        .collect();
    let stored = stored
        .iter()
        .map(|value| String::from_utf8_lossy(value))
        .collect::<String>();
    assert!(stored.contains("P-256") && stored.len() < 300, "{stored}");
    for absent in ["certificate", "private", "secret", "RSA"] {
        assert!(!stored.contains(absent), "{absent}");
    }
}

/// Another instance asks while one is fetching. It waits, and then it has the keys or reports that it has none.
#[test]
fn of_two_concurrent_instances_one_fetches() {
    let host = host();
    let settings = Rc::new(with(from_url(), "timeout", "100ms"));
    let other = Rc::clone(&settings);
    host.serve(move |request| {
        assert_eq!(request.url, JWKS);
        expect(
            ask(&other, &lasting(&P256, "a")),
            "503: another request is fetching the keys",
        );
        Ok(Response::new(200).with_body(json!({"keys": [P256.jwk_with_id("a")]}).to_string()))
    });
    assert_eq!(summary(ask(&settings, &lasting(&P256, "a"))), "alice");
    assert_eq!(sent(&host), [JWKS]);

    // If the keys are only old, the other instance uses them.
    host.advance(Duration::from_secs(601));
    let other = Rc::clone(&settings);
    host.serve(move |_| {
        assert_eq!(summary(ask(&other, &lasting(&P256, "a"))), "alice");
        Err(HttpError::TimedOut)
    });
    assert_eq!(summary(ask(&settings, &lasting(&P256, "a"))), "alice");
    assert_eq!(sent(&host).len(), 2);
}

#[test]
fn two_issuers_do_not_share_keys() {
    let host = host();
    let other_keys = "https://other.example/jwks";
    publish(&host, &[P256.jwk_with_id("k")]);
    let thief = mint::p256();
    host.answer(
        other_keys,
        Response::new(200).with_body(json!({"keys": [thief.jwk_with_id("k")]}).to_string()),
    );
    let mut settings = from_url();
    settings["issuers"].as_array_mut().unwrap().push(
        json!({"issuer": "https://other.example", "audiences": [AUDIENCE], "jwks_url": other_keys, "user_prefix": "other:"}),
    );
    let theirs = with(with(claims(), "iss", "https://other.example"), "exp", NOW + 1_000_000);
    assert_eq!(
        summary(ask(
            &settings,
            &thief.token(&json!({"alg": "ES256", "kid": "k"}), &theirs)
        )),
        "other:alice"
    );
    assert_eq!(summary(ask(&settings, &lasting(&P256, "k"))), "alice");
    expect(ask(&settings, &lasting(&thief, "k")), "401 ");
    expect(
        ask(&settings, &P256.token(&json!({"alg": "ES256", "kid": "k"}), &theirs)),
        "401 ",
    );
}
