//! What the client and the operator's log are told (RFC 6750, section 3). The tests also cover what neither may ever
//! contain.

use std::time::Duration;

use portcullis_sdk::Challenge;
use portcullis_sdk::Refusal;
use portcullis_sdk::testing::RequestBuilder;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint;
use crate::mint::P256;
use crate::mint::b64;

fn get() -> RequestBuilder {
    RequestBuilder::get("/")
}

#[test]
fn without_a_token_the_challenge_has_no_error() {
    let _host = host();
    let settings = with(settings(), "realm", "science");
    for request in [
        get(),
        get().header("authorization", "Basic YWxpY2U6cHc="),
        get().header("authorization", "token abc"),
    ] {
        assert_eq!(
            send(&settings, request),
            Err(Refusal::NotMine(Some(Challenge::bearer("science"))))
        );
    }
}

#[test]
fn the_client_is_told_what_was_wrong_in_fixed_words() {
    let _host = host();
    let cases = [
        (with(claims(), "exp", NOW - 100), "The token has expired"),
        (with(claims(), "nbf", NOW + 100), "The token is not valid yet"),
        (
            with(claims(), "aud", "https://evil.example/<script>"),
            "The token is for another audience",
        ),
        (
            with(claims(), "iss", "https://evil.example/<script>"),
            "The issuer of the token is not known here",
        ),
        (with(claims(), "sub", "a\u{7}"), "The token is not accepted here"),
    ];
    for (claims, description) in cases {
        let Err(Refusal::Unauthenticated(reason, Some(challenge))) = ask(&settings(), &P256.token(&header(), &claims))
        else {
            panic!("{claims}")
        };
        assert_eq!(parameter(&challenge, "realm").as_deref(), Some("portcullis"));
        assert_eq!(parameter(&challenge, "error").as_deref(), Some("invalid_token"));
        assert_eq!(parameter(&challenge, "error_description").as_deref(), Some(description));
        // The operator is told what was found, and what was expected.
        let is_quoted = reason.contains(r#" "https://evil.example/<script>""#) && reason.contains(".example.org\"");
        assert_eq!(reason.contains("evil"), is_quoted, "{reason}");
    }
}

/// Row C11 of the field reports: clients that know Basic credentials only are asked for them.
#[test]
fn a_basic_challenge_asks_for_a_token_in_basic_credentials() {
    let _host = host();
    let basic = with(settings(), "token_from", json!([{"basic": "password"}]));
    let challenge = |answer| match answer {
        Err(Refusal::NotMine(Some(challenge)) | Refusal::Unauthenticated(_, Some(challenge))) => challenge,
        other => panic!("{other:?}"),
    };
    let credentials = |password: &str| {
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("oauth2:{password}"));
        RequestBuilder::get("/").header("authorization", format!("Basic {encoded}"))
    };
    assert_eq!(summary(send(&basic, credentials(&token()))), "alice");
    for request in [RequestBuilder::get("/"), credentials("wrong"), credentials("a.b.c")] {
        let asked = challenge(send(&basic, request));
        assert_eq!(asked.scheme, "Basic");
        assert_eq!(parameter(&asked, "error"), None);
    }
    let both = json!([{"basic": "password"}, {"header": "authorization", "scheme": "Bearer"}]);
    let asked = challenge(send(&with(settings(), "token_from", both), RequestBuilder::get("/")));
    assert_eq!(asked.scheme, "Bearer");
}

#[test]
fn a_malformed_request_is_an_invalid_request() {
    let _host = host();
    let twice = with(
        settings(),
        "token_from",
        json!([{"header": "authorization", "scheme": "Bearer"}, {"cookie": "jwt"}]),
    );
    expect(
        send(
            &twice,
            get()
                .header("authorization", format!("Bearer {}", token()))
                .cookie("jwt", token()),
        ),
        "401 invalid_request: malformed request: The request has more than one token",
    );
    expect(
        send(&twice, get().cookie("jwt", token()).cookie("jwt", token())),
        "401 invalid_request",
    );
    expect(ask(&settings(), "a b"), "401 invalid_request");
    expect(ask(&settings(), ""), "401 invalid_request");
    expect(
        ask(&settings(), &"a".repeat(16 * 1024 + 1)),
        "401 invalid_request: malformed request: The token is too long",
    );
    let short = with(settings(), "max_token_bytes", token().len() - 1);
    expect(
        ask(&short, &token()),
        "401 invalid_request: malformed request: The token is too long",
    );
}

#[test]
fn a_token_is_taken_from_the_configured_places_only() {
    let _host = host();
    let places = json!([{"header": "x-id-token"}, {"header": "authorization", "scheme": "JWT"}, {"cookie": "id"}, {"query": "access_token"}]);
    let settings = with(settings(), "token_from", places);
    let found = [
        get().header("X-Id-Token", token()),
        get().header("Authorization", format!("jwt {}", token())),
        get().cookie("id", token()),
        get().query(format!("a=b&access_token={}", token())),
    ];
    for request in found {
        assert_eq!(summary(send(&settings, request)), "alice");
    }
    let elsewhere = [
        get().header("Authorization", format!("Bearer {}", token())),
        get().cookie("jwt", token()),
        get().query(format!("token={}", token())),
    ];
    for request in elsewhere {
        assert_eq!(summary(send(&settings, request)), "pass");
    }
}

#[test]
fn a_token_that_is_not_a_jwt_is_left_to_the_next_authenticator() {
    let _host = host();
    let encrypted = format!("{}.key.iv.text.tag", b64(br#"{"alg":"dir","enc":"A256GCM"}"#));
    for opaque in [
        "0123456789abcdef0123456789abcdef",
        "ya29.a0AfH6SMBx",
        "gho_16C7e42F292c6912E7",
        "a.b.c",
        &encrypted,
    ] {
        assert_eq!(summary(ask(&settings(), opaque)), "pass invalid_token", "{opaque}");
    }
}

#[test]
fn a_token_of_another_issuer_is_refused_or_left_to_the_next_authenticator() {
    let _host = host();
    let passing = with(settings(), "unknown_issuer", "pass");
    for (claims, found) in [
        (
            with(claims(), "iss", "https://other.example"),
            "\"https://other.example\"",
        ),
        (without(claims(), "iss"), "missing"),
        (with(claims(), "iss", ""), "\"\""),
    ] {
        let token = P256.token(&header(), &claims);
        expect(
            ask(&settings(), &token),
            &format!(
                "401 invalid_token: the issuer of the token is {found}, and must be \"https://id.example.org\" (settings: issuers)"
            ),
        );
        assert_eq!(summary(ask(&passing, &token)), "pass invalid_token");
    }
    let expired = P256.token(&header(), &with(claims(), "exp", 1));
    expect(ask(&passing, &expired), "401 invalid_token: the token has expired");
    let forged = mint::p256().token(&header(), &claims());
    expect(ask(&passing, &forged), "401 invalid_token: no key");
}

/// Security case 9: a token can't bring its own key (CVE-2026-27962), nor ask for extensions that are not supported.
#[test]
fn keys_and_extensions_in_the_header_are_not_used() {
    let host = host();
    let thief = mint::p256();
    let embedded = [
        ("jwk", thief.jwk()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!([b64(&thief.der())])),
    ];
    for (name, value) in embedded {
        let forged = thief.token(&with(header(), name, value.clone()), &claims());
        expect(ask(&settings(), &forged), "401 invalid_token: no key");
        let forged = thief.token(&without(with(header(), name, value.clone()), "kid"), &claims());
        expect(ask(&settings(), &forged), "401 invalid_token: no key");
        assert_eq!(
            summary(ask(&settings(), &P256.token(&with(header(), name, value), &claims()))),
            "alice"
        );
    }
    let extensions = [
        with(header(), "crit", json!(["exp"])),
        with(header(), "crit", json!([])),
        with(header(), "crit", Value::Null),
        with(header(), "b64", false),
        with(with(header(), "crit", json!(["b64"])), "b64", false),
    ];
    for header in extensions {
        expect(
            ask(&settings(), &P256.token(&header, &claims())),
            "401 invalid_token: the token has a header that asks for",
        );
    }
    assert!(host.requests().is_empty());
}

/// Security cases 35, 40 and 26.
#[test]
fn no_part_of_a_token_is_logged_or_returned() {
    let host = host();
    let kids = [
        "../../../../dev/null",
        "' OR 1=1 --",
        "x\r\nSet-Cookie: a=b",
        &"k".repeat(10_000),
        "key|whoami",
    ];
    for kid in kids {
        let token = P256.token(&with(header(), "kid", kid), &with(claims(), "sub", "root-of-all"));
        let answer = ask(&settings(), &token);
        let shown = format!("{answer:?} {:?}", host.log());
        let reason = summary(answer);
        assert!(
            reason.starts_with("401 invalid_token: no key of https://id.example.org has the id \""),
            "{reason}"
        );
        assert!(reason.len() < 250 && !reason.contains(['\r', '\n']), "{reason}");
        assert!(
            !shown.contains(&token[..60]) && !shown.contains("root-of-all"),
            "{shown}"
        );
    }
    let expired = P256.token(&header(), &with(with(claims(), "sub", "root-of-all"), "exp", 1));
    assert!(!format!("{:?} {:?}", ask(&settings(), &expired), host.log()).contains("root-of-all"));
}

#[test]
fn a_decision_is_reused_for_five_minutes_at_most_and_not_beyond_the_token() {
    let _host = host();
    let valid_for = |settings: &Value, claims: &Value| ask(settings, &P256.token(&header(), claims)).unwrap().valid_for;
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(valid_for(&settings(), &claims()), seconds(100));
    assert_eq!(valid_for(&settings(), &with(claims(), "exp", NOW + 3600)), seconds(300));
    assert_eq!(valid_for(&with(settings(), "reuse", "20s"), &claims()), seconds(20));
    assert_eq!(valid_for(&with(settings(), "reuse", 0), &claims()), None);
    // Within the leeway the token is accepted, but the decision is not reused.
    assert_eq!(valid_for(&settings(), &with(claims(), "exp", NOW)), None);
    assert_eq!(valid_for(&settings(), &with(claims(), "exp", NOW - 30)), None);
    let without_expiry = with_issuer(settings(), "insecure_no_expiry", true);
    assert_eq!(valid_for(&without_expiry, &without(claims(), "exp")), seconds(300));
}

#[test]
fn only_the_configured_places_are_read() {
    let _host = host();
    let jwt = portcullis_sdk::testing::configure::<portcullis_plugin_jwt::Jwt>(&settings().to_string()).unwrap();
    let request = get().header("authorization", format!("Bearer {}", token())).build();
    portcullis_sdk::Authenticator::authenticate(&jwt, &request).unwrap();
    assert_eq!(request.attributes_read(), ["header authorization"]);
}
