//! Where keys are looked for. Malformed or mismatched responses are not used.

use std::time::Duration;

use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::Response;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint::P256;
use crate::mint::RSA;
use crate::providers::JWKS;
use crate::providers::from_url;
use crate::providers::lasting;
use crate::providers::publish;
use crate::providers::sent;

const METADATA: &str = "https://id.example.org/.well-known/openid-configuration";

fn from_discovery() -> Value {
    json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "discovery": true}]})
}

fn publish_metadata(host: &FakeHost, metadata: &Value) {
    host.answer(METADATA, Response::new(200).with_body(metadata.to_string()));
}

#[test]
fn discovery_finds_the_keys() {
    let host = host();
    publish_metadata(&host, &json!({"issuer": ISSUER, "jwks_uri": JWKS, "more": {"a": [1]}}));
    publish(&host, &[RSA.jwk_with_id("r"), P256.jwk_with_id("a")]);
    for _ in 0..3 {
        assert_eq!(summary(ask(&from_discovery(), &lasting(&P256, "a"))), "alice");
    }
    assert_eq!(sent(&host), [METADATA, JWKS]);
}

#[test]
fn metadata_is_below_an_issuer_with_a_path_or_a_trailing_slash() {
    let host = host();
    for issuer in ["https://id.example.org/realms/a", "https://id.example.org/realms/a/"] {
        let metadata = "https://id.example.org/realms/a/.well-known/openid-configuration";
        host.answer(
            metadata,
            Response::new(200).with_body(json!({"issuer": issuer, "jwks_uri": JWKS}).to_string()),
        );
        publish(&host, &[P256.jwk_with_id("p256")]);
        let settings = with_issuer(from_discovery(), "issuer", issuer);
        assert_eq!(
            summary(ask(&settings, &P256.token(&header(), &with(claims(), "iss", issuer)))),
            "alice"
        );
    }
}

/// Rows C8 and C10 of the field reports.
#[test]
fn metadata_may_be_elsewhere_and_for_all_tenants() {
    let elsewhere = "https://internal.example/metadata";
    for (issuer, found, iss, expected) in [
        (ISSUER, ISSUER, ISSUER, "alice"),
        (
            ISSUER,
            "https://other.example",
            ISSUER,
            "503: https://internal.example/metadata: its issuer is \"https://other.example\", and \"https://id.example.org\" is",
        ),
        (
            "https://l/{tid}/v2.0",
            "https://l/{tenantid}/v2.0",
            "https://l/t-1/v2.0",
            "alice",
        ),
        (
            "https://l/{tid}/v2.0",
            "https://l/{tenantid}/v2.0",
            "https://l/t-2/v2.0",
            "401 invalid_token: the issuer of the token is \"https://l/t-2/v2.0\", and must be \"https://l/{tid}/v2.0\" \
             (settings: issuers); its tenant is not among the settings' tenants",
        ),
        (
            "https://l/{tid}/v2.0",
            "https://l/common/v2.0",
            "https://l/t-1/v2.0",
            "503: ",
        ),
        (
            "https://l/{tid}/v2.0",
            "https://l/{tenantid}/v1.0",
            "https://l/t-1/v2.0",
            "503: ",
        ),
    ] {
        let host = host();
        let metadata = json!({"issuer": found, "jwks_uri": JWKS}).to_string();
        host.answer(elsewhere, Response::new(200).with_body(metadata));
        publish(&host, &[P256.jwk_with_id("p256")]);
        let mut settings = json!({"issuers": [{"issuer": issuer, "audiences": [AUDIENCE], "metadata_url": elsewhere}]});
        if issuer.contains('{') {
            settings = with_issuer(settings, "tenants", json!(["t-1"]));
        }
        let claims = with(with(claims(), "iss", iss), "tid", "t-1");
        expect(ask(&settings, &P256.token(&header(), &claims)), expected);
    }
    for (settings, problem) in [
        (
            with_issuer(from_discovery(), "issuer", "https://l/{tid}"),
            "tenants: they are missing",
        ),
        (
            with_issuer(
                with_issuer(from_discovery(), "issuer", "https://l/{tid}"),
                "insecure_any_tenant",
                true,
            ),
            "discovery: the metadata of an issuer with a place for a tenant is elsewhere: set metadata_url",
        ),
        (
            with_issuer(from_discovery(), "tenants", json!(["t"])),
            "tenants: the issuer has no place for a tenant",
        ),
        (
            with_issuer(from_url(), "metadata_url", "https://a"),
            "exactly one of discovery, metadata_url",
        ),
        (
            with_issuer(without_discovery(), "metadata_url", "http://a"),
            "metadata_url: ",
        ),
    ] {
        let error = configure::<Jwt>(&settings.to_string()).unwrap_err();
        assert!(error.contains(problem), "{settings}: {error}");
    }
}

fn without_discovery() -> Value {
    json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE]}]})
}

/// The metadata of another issuer would let its keys sign this issuer's tokens.
#[test]
fn metadata_that_does_not_match_is_refused() {
    let cases = [
        (
            json!({"issuer": "https://id.example.org/", "jwks_uri": JWKS}),
            ", and \"https://id.example.org\" is configured",
        ),
        (
            json!({"issuer": "https://evil.example", "jwks_uri": JWKS}),
            ", and \"https://id.example.org\" is configured",
        ),
        (
            json!({"issuer": ISSUER, "jwks_uri": "http://id.example.org/jwks"}),
            "must be https",
        ),
        (
            json!({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/jwks"}),
            "it is not https, though the issuer is",
        ),
        (
            json!({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}),
            "must be an https URL",
        ),
        (json!({"issuer": ISSUER}), "no jwks_uri"),
        (json!({"jwks_uri": JWKS}), "no issuer"),
        (json!("hello"), "no issuer"),
    ];
    for (metadata, problem) in cases {
        let host = host();
        publish_metadata(&host, &metadata);
        publish(&host, &[P256.jwk_with_id("a")]);
        let outcome = summary(ask(&from_discovery(), &lasting(&P256, "a")));
        assert!(
            outcome.starts_with("503: https://id.example.org/.well-known") && outcome.contains(problem),
            "{metadata}: {outcome}"
        );
        assert_eq!(sent(&host), [METADATA]);
    }
}

#[test]
fn on_this_machine_metadata_and_keys_may_come_over_http() {
    let host = host();
    let issuer = "http://127.0.0.1:4000";
    let jwks = "http://127.0.0.1:4000/jwks";
    host.answer(
        format!("{issuer}/.well-known/openid-configuration"),
        Response::new(200).with_body(json!({"issuer": issuer, "jwks_uri": jwks}).to_string()),
    );
    host.answer(
        jwks,
        Response::new(200).with_body(json!({"keys": [P256.jwk_with_id("p256")]}).to_string()),
    );
    let settings = with_issuer(from_discovery(), "issuer", issuer);
    assert_eq!(
        summary(ask(&settings, &P256.token(&header(), &with(claims(), "iss", issuer)))),
        "alice"
    );
}

/// Security case 34: the responses of an issuer are limited and checked.
#[test]
fn a_response_that_is_not_a_key_set_is_503() {
    let many: Vec<_> = (0..1001).map(|n| P256.jwk_with_id(&n.to_string())).collect();
    let cases = [
        (Response::new(500), "it answered 500, not 200"),
        (
            Response::redirect("https://evil.example/jwks"),
            "it answered 302, not 200",
        ),
        (Response::new(204), "it answered 204, not 200"),
        (Response::new(200), "not a JWK Set"),
        (Response::new(200).with_body("<html>"), "not a JWK Set"),
        (Response::new(200).with_body(b"\xff".to_vec()), "not UTF-8"),
        (Response::new(200).with_body(r#"{"keys":[]}"#), "it has no keys"),
        (
            Response::new(200).with_body(json!({ "keys": many }).to_string()),
            "it has 1001 keys",
        ),
        (
            Response::new(200).with_body(vec![b' '; 1024 * 1024 + 1]),
            "larger than 1048576 bytes",
        ),
    ];
    for (answer, problem) in cases {
        let host = host();
        host.answer(JWKS, answer);
        let outcome = summary(ask(&from_url(), &lasting(&P256, "a")));
        assert!(
            outcome.starts_with("503: https://id.example.org/jwks: ") && outcome.contains(problem),
            "{outcome}"
        );
    }
}

#[test]
fn a_bad_response_does_not_replace_good_keys() {
    let host = host();
    publish(&host, &[P256.jwk_with_id("a")]);
    ask(&from_url(), &lasting(&P256, "a")).unwrap();
    for body in [
        "{\"keys\":[]}",
        "<html>",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"a\"}]}",
    ] {
        host.answer(JWKS, Response::new(200).with_body(body));
        host.advance(Duration::from_secs(700));
        assert_eq!(summary(ask(&from_url(), &lasting(&P256, "a"))), "alice", "{body}");
    }
}
