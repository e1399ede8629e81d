//! Several issuers in one configuration. Each can sign its own tokens and no others.

use serde_json::json;

use crate::gateway::*;
use crate::mint::ED25519;
use crate::mint::P256;
use crate::mint::P384;

fn two_issuers() -> serde_json::Value {
    json!({"issuers": [
        {"issuer": "https://a", "audiences": ["api"], "jwks": P256.jwk_with_id("k"), "user_prefix": "a:"},
        {"issuer": "https://b", "audiences": ["other"], "pem": P384.pem(), "user_prefix": "b:"},
    ]})
}

#[test]
fn each_issuer_has_its_own_keys_and_audiences() {
    let _host = host();
    let token = |signer: &crate::mint::Signer, algorithm: &str, issuer: &str, audience: &str| {
        let claims = with(with(claims(), "iss", issuer), "aud", audience);
        summary(ask(
            &two_issuers(),
            &signer.token(&json!({"alg": algorithm, "kid": "k"}), &claims),
        ))
    };
    assert_eq!(token(&P256, "ES256", "https://a", "api"), "a:alice");
    assert_eq!(token(&P384, "ES384", "https://b", "other"), "b:alice");
    assert!(
        token(&P256, "ES256", "https://b", "other").starts_with("401 "),
        "a's key, b's name"
    );
    assert!(
        token(&P384, "ES384", "https://a", "api").starts_with("401 "),
        "b's key, a's name"
    );
    assert!(
        token(&P256, "ES256", "https://a", "other").starts_with("401 "),
        "a's token, b's audience"
    );
}

#[test]
fn one_entry_can_accept_every_other_issuer() {
    let _host = host();
    let mut settings = two_issuers();
    settings["issuers"].as_array_mut().unwrap().push(json!({
        "insecure_any_issuer": true, "audiences": ["api"], "jwks": ED25519.jwk(), "user_prefix": "any:",
    }));
    let token = |issuer: serde_json::Value| {
        let claims = with(with(claims(), "iss", issuer), "aud", "api");
        summary(ask(&settings, &ED25519.token(&json!({"alg": "EdDSA"}), &claims)))
    };
    assert_eq!(token(json!("https://c")), "any:alice");
    assert_eq!(token(json!(null)), "any:alice");
    assert!(
        token(json!("https://a")).starts_with("401 "),
        "a configured issuer has its own keys only"
    );
}

#[test]
fn each_family_of_tenants_has_its_own_keys() {
    let _host = host();
    let family = |host: &str, signer: &crate::mint::Signer| {
        json!({
            "issuer": format!("https://{host}/{{tid}}"), "insecure_any_tenant": true, "audiences": [AUDIENCE],
            "jwks": signer.jwk(), "user_prefix": format!("{host}:"),
        })
    };
    let settings = json!({"issuers": [family("a", &P256), family("b", &P384)]});
    let token = |signer: &crate::mint::Signer, algorithm: &str, host: &str| {
        let claims = with(with(claims(), "iss", format!("https://{host}/t1")), "tid", "t1");
        summary(ask(&settings, &signer.token(&json!({"alg": algorithm}), &claims)))
    };
    assert_eq!(token(&P256, "ES256", "a"), "a:alice");
    assert_eq!(token(&P384, "ES384", "b"), "b:alice");
    assert!(token(&P256, "ES256", "b").starts_with("401 "), "a's key, b's name");
}

/// A header that only one signer sets, as `signer` of AWS load balancers, takes the audience's place.
#[test]
fn a_token_without_the_required_header_is_refused() {
    let _host = host();
    let settings = with_issuer(settings(), "required_header", json!({"signer": "arn:lb/mine"}));
    let token = |header: serde_json::Value| ask(&settings, &P256.token(&header, &claims()));
    let header = header();
    assert_eq!(summary(token(with(header.clone(), "signer", "arn:lb/mine"))), "alice");
    for refused in [
        header.clone(),
        with(header.clone(), "signer", "arn:lb/other"),
        with(header.clone(), "signer", json!(["arn:lb/mine"])),
        with(header.clone(), "signer", ""),
    ] {
        let answer = summary(token(refused.clone()));
        assert!(answer.starts_with("401 "), "{refused}: {answer}");
    }
}

#[test]
fn many_issuers_are_told_apart() {
    let _host = host();
    let issuers: Vec<_> = (0..60)
        .map(|n| json!({"issuer": format!("https://i{n}"), "audiences": [AUDIENCE], "jwks": P256.jwk(), "user_prefix": format!("{n}:")}))
        .collect();
    let settings = json!({ "issuers": issuers });
    for n in [0, 6, 59] {
        let claims = with(claims(), "iss", format!("https://i{n}"));
        assert_eq!(
            summary(ask(&settings, &P256.token(&json!({"alg": "ES256"}), &claims))),
            format!("{n}:alice")
        );
    }
}
