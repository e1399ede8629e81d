//! Which claims a token must have, and what their values lead to. The signatures are valid throughout.

use portcullis_sdk::User;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint::P256;

#[track_caller]
fn expect_claims(settings: &Value, claims: &Value, expected: &str) {
    expect(ask(settings, &P256.token(&header(), claims)), expected);
}

/// Makes a token whose payload is exactly this text.
fn raw(payload: &str) -> String {
    P256.sign("ES256", &header().to_string(), payload.as_bytes())
}

/// Security case 11: `exp`, `iss` and `aud` are required unless the settings say otherwise.
#[test]
fn expiry_issuer_and_audience_are_required() {
    let _host = host();
    expect_claims(&settings(), &claims(), "alice");
    expect_claims(
        &settings(),
        &without(claims(), "exp"),
        "401 invalid_token: the claim exp is missing",
    );
    expect_claims(
        &settings(),
        &without(claims(), "aud"),
        "401 invalid_token: the claim aud is missing",
    );
    expect_claims(
        &settings(),
        &without(claims(), "iss"),
        "401 invalid_token: the issuer of the token is missing",
    );
    expect_claims(
        &settings(),
        &without(claims(), "sub"),
        "401 invalid_token: the claim sub is missing",
    );
    expect_claims(&settings(), &without(claims(), "iat"), "alice");

    let any_audience = without(settings(), "issuers");
    let any_audience = with(
        any_audience,
        "issuers",
        json!([{
            "issuer": ISSUER, "insecure_any_audience": true, "insecure_no_expiry": true,
            "jwks": {"keys": [P256.jwk_with_id("p256")]},
        }]),
    );
    expect_claims(&any_audience, &json!({"iss": ISSUER, "sub": "alice"}), "alice");
    expect_claims(&any_audience, &with(claims(), "aud", "other"), "alice");
}

/// Row B13 of the field reports: a user in too many groups for the token has none, which is said once an hour.
#[test]
fn groups_that_the_provider_left_out_are_told() {
    let host = host();
    let settings = with(settings(), "groups_claim", "groups");
    let overage = with(
        with(claims(), "exp", NOW + 100_000),
        "_claim_names",
        json!({"groups": "src1"}),
    );
    let told = || {
        let lines = host.log().into_iter().map(|(_, line)| line);
        lines.filter(|line| line.contains("_claim_names")).count()
    };
    for _ in 0..5 {
        assert_eq!(summary(ask(&settings, &P256.token(&header(), &overage))), "alice");
    }
    assert_eq!(told(), 1);
    let other = with(overage.clone(), "sub", "bob");
    assert_eq!(summary(ask(&settings, &P256.token(&header(), &other))), "bob");
    assert_eq!(told(), 2);
    host.advance(std::time::Duration::from_secs(3600));
    ask(&settings, &P256.token(&header(), &overage)).unwrap();
    assert_eq!(told(), 3);
    let elsewhere = with(overage, "_claim_names", json!({"roles": "src1"}));
    ask(&settings, &P256.token(&header(), &with(elsewhere, "sub", "carol"))).unwrap();
    assert_eq!(told(), 3);
    // What Entra sends instead in tokens of its implicit flow.
    for (value, sub) in [(json!(true), "dave"), (json!(false), "erin"), (Value::Null, "frank")] {
        let lasting = with(claims(), "exp", NOW + 100_000);
        let token = P256.token(&header(), &with(with(lasting, "hasgroups", value), "sub", sub));
        assert_eq!(summary(ask(&settings, &token)), sub);
    }
    let lines = host.log().into_iter().map(|(_, line)| line);
    let lines = Vec::from_iter(lines.filter(|line| line.contains("(hasgroups)")));
    assert!(
        matches!(lines.as_slice(), [line] if line.contains("\"dave\"")),
        "{lines:?}"
    );
}

/// Row C9 of the field reports: access tokens of some providers name the client, and no audience.
#[test]
fn another_claim_may_name_the_audience() {
    let _host = host();
    let settings = with_issuer(settings(), "audience_claim", "client_id");
    let token = without(claims(), "aud");
    expect_claims(&settings, &with(token.clone(), "client_id", AUDIENCE), "alice");
    for (client, expected) in [
        (Value::Null, "the claim client_id is missing (settings: audiences)"),
        (
            json!("other"),
            "the claim client_id of the token is \"other\", and must name \"https://gateway",
        ),
        (
            json!(7),
            "the claim client_id is neither a string nor a list of strings",
        ),
    ] {
        let claims = with(with(token.clone(), "client_id", client), "aud", AUDIENCE);
        expect_claims(&settings, &claims, &format!("401 invalid_token: {expected}"));
    }
}

#[test]
fn the_issuer_is_compared_exactly() {
    let _host = host();
    // Row B7 of the field reports: both values are told.
    for issuer in [
        "https://id.example.org/",
        "https://ID.example.org",
        "https://id.example.or",
        "id.example.org",
        " ",
    ] {
        let hint = if issuer.ends_with('/') {
            "; they differ by a slash at the end"
        } else {
            ""
        };
        expect_claims(
            &settings(),
            &with(claims(), "iss", issuer),
            &format!(
                "401 invalid_token: the issuer of the token is {issuer:?}, and must be {ISSUER:?} (settings: issuers){hint}"
            ),
        );
    }
    for issuer in [json!([ISSUER]), json!({"a": ISSUER}), json!(7), json!(true)] {
        expect_claims(
            &settings(),
            &with(claims(), "iss", issuer),
            "401 invalid_token: the token has a payload",
        );
    }
    let twice = format!(
        r#"{{"iss":"{ISSUER}","iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"a","exp":{}}}"#,
        NOW + 9
    );
    expect(
        ask(&settings(), &raw(&twice)),
        "401 invalid_token: the token has a payload",
    );
}

#[test]
fn any_or_every_audience_must_be_named() {
    let _host = host();
    let two = with_issuer(settings(), "audiences", json!([AUDIENCE, "second"]));
    let all = with_issuer(two.clone(), "audience_match", "all");
    let cases = [
        (json!(AUDIENCE), "alice", "401 "),
        (json!(["x", "second"]), "alice", "401 "),
        (json!([AUDIENCE, "second"]), "alice", "alice"),
        (json!("x"), "401 ", "401 "),
        (json!([]), "401 ", "401 "),
        (json!([AUDIENCE, 7]), "401 ", "401 "),
        (Value::Null, "401 ", "401 "),
    ];
    for (audience, by_any, by_all) in cases {
        expect_claims(&two, &with(claims(), "aud", audience.clone()), by_any);
        expect_claims(&all, &with(claims(), "aud", audience), by_all);
    }
}

/// Security case 10: a time of the wrong type must not count as missing (CVE-2026-25537).
#[test]
fn times_of_the_wrong_type_are_refused() {
    let _host = host();
    let wrong = [
        "\"1800000050\"",
        "\"999999999999\"",
        "-5",
        "-5.5",
        "1e300",
        "1e999",
        "null",
        "[1800000050]",
        "{}",
        "true",
    ];
    for value in wrong {
        for name in ["exp", "nbf", "iat"] {
            let start = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"alice""#);
            let exp = if name == "exp" {
                String::new()
            } else {
                format!(r#","exp":{}"#, NOW + 50)
            };
            let token = raw(&format!(r#"{start}{exp},"{name}":{value}}}"#));
            expect(ask(&settings(), &token), "401 invalid_token: the ");
        }
    }
}

/// Security case 11: times may have fractions, and numbers at the limits of a type cause no panic.
#[test]
fn times_may_have_fractions_and_any_size() {
    let _host = host();
    for value in ["1800000050.9", "1.80000005e9", "1800000050.0"] {
        let payload = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"alice","exp":{value}}}"#);
        assert_eq!(summary(ask(&settings(), &raw(&payload))), "alice", "{value}");
    }
    for value in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
    ] {
        for name in ["exp", "nbf", "iat"] {
            let payload = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"alice","{name}":{value}}}"#);
            expect(ask(&settings(), &raw(&payload)), "401 invalid_token: the ");
        }
    }
}

#[test]
fn times_are_valid_within_the_leeway() {
    let _host = host();
    let strict = with(settings(), "leeway", 0);
    let wide = with(settings(), "leeway", "5m");
    let cases = [
        (
            "exp",
            NOW - 1,
            "alice",
            "401 invalid_token: the token has expired",
            "alice",
        ),
        ("exp", NOW, "alice", "401 invalid_token: the token has expired", "alice"),
        (
            "exp",
            NOW - 60,
            "401 invalid_token: the token has expired: its exp was 60 s ago (settings: leeway)",
            "401 ",
            "alice",
        ),
        ("exp", NOW - 300, "401 ", "401 ", "401 "),
        (
            "nbf",
            NOW + 1,
            "alice",
            "401 invalid_token: the token is not valid yet: its nbf is in 1 s (settings: leeway)",
            "alice",
        ),
        ("nbf", NOW + 61, "401 ", "401 ", "alice"),
        (
            "iat",
            NOW + 1,
            "alice",
            "401 invalid_token: the token is not valid yet: its iat is in 1 s (settings: leeway)",
            "alice",
        ),
        ("iat", NOW + 61, "401 ", "401 ", "alice"),
    ];
    for (name, value, by_default, by_strict, by_wide) in cases {
        let claims = with(claims(), name, value);
        expect_claims(&settings(), &claims, by_default);
        expect_claims(&strict, &claims, by_strict);
        expect_claims(&wide, &claims, by_wide);
    }
}

#[test]
fn a_token_with_too_long_a_lifetime_is_refused() {
    let _host = host();
    let settings = with(settings(), "max_lifetime", "1h");
    expect_claims(&settings, &claims(), "alice");
    expect_claims(&settings, &with(claims(), "exp", NOW + 3590), "alice");
    expect_claims(
        &settings,
        &with(claims(), "exp", NOW + 3591),
        "401 invalid_token: the token was issued for too long",
    );
    let undated = without(claims(), "iat");
    expect_claims(
        &settings,
        &with(undated, "exp", NOW + 3700),
        "401 invalid_token: the token expires too late",
    );
}

#[test]
fn required_claims_must_be_present() {
    let _host = host();
    let settings = with(settings(), "required_claims", json!(["jti", "realm_access.roles"]));
    expect_claims(&settings, &claims(), "401 invalid_token: the claim jti is missing");
    let with_id = with(claims(), "jti", "1");
    expect_claims(
        &settings,
        &with_id,
        "401 invalid_token: the claim realm_access.roles is missing",
    );
    expect_claims(&settings, &with(with_id, "realm_access", json!({"roles": []})), "alice");
    expect_claims(
        &settings,
        &with(claims(), "jti", Value::Null),
        "401 invalid_token: the claim jti is missing",
    );
}

#[test]
fn a_token_of_another_type_is_refused() {
    let _host = host();
    let only_access_tokens = with(settings(), "typ", json!(["at+jwt"]));
    let ask_with =
        |settings: &Value, typ: Value| summary(ask(settings, &P256.token(&with(header(), "typ", typ), &claims())));
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        assert_eq!(ask_with(&only_access_tokens, json!(typ)), "alice");
    }
    for typ in ["JWT", "application-at+jwt", "Application/Jwt", "model/at+jwt"] {
        let refused = ask_with(&only_access_tokens, json!(typ));
        assert!(
            refused.starts_with("401 invalid_token: the type of the token (typ) is \"")
                && refused.ends_with("\", and must be \"at+jwt\" (settings: typ)"),
            "{typ}: {refused}"
        );
    }
    expect(
        ask(&only_access_tokens, &token()),
        "401 invalid_token: the type of the token (typ) is missing, and must be \"at+jwt\" (settings: typ)",
    );
    assert_eq!(
        ask_with(&settings(), json!("x")),
        "401 invalid_token: the type of the token (typ) is \"x\", and must be \"JWT\", \"at+jwt\", \"JOSE\" or missing \
         (settings: typ)"
    );
    assert_eq!(ask_with(&settings(), json!("JWT")), "alice");
    for typ in ["logout+jwt", "application-at+jwt"] {
        assert!(
            ask_with(&settings(), json!(typ)).starts_with("401 invalid_token: the type"),
            "{typ}"
        );
    }
}

/// A known user without a permission gets 403, not 401.
#[test]
fn scopes_and_rules_decide_who_is_allowed_in() {
    let _host = host();
    let settings = with(settings(), "scopes", json!(["dask", "read"]));
    let settings = with(
        settings,
        "claims",
        json!([
            {"claim": "email_verified", "equals": true},
            {"claim": "email", "email_domain": ["example.org"]},
            {"claim": "realm_access.roles", "contains": "user"},
        ]),
    );
    let good = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 9, "scope": "read dask",
        "email": "alice@example.org", "email_verified": true, "realm_access": {"roles": ["user", "x"]},
    });
    expect_claims(&settings, &good, "alice");
    let cases = [
        (
            "scope",
            json!("dask"),
            "403 insufficient_scope: the token lacks the scope read, and has \"dask\" (settings: scopes)",
        ),
        (
            "scope",
            Value::Null,
            "403 insufficient_scope: the token lacks the scope dask, and has none (settings: scopes)",
        ),
        (
            "email_verified",
            json!("true"),
            "403: the claim email_verified is \"true\", and must be true",
        ),
        (
            "email",
            json!("a@x@example.org"),
            "403: the claim email is \"a@x@example.org\", and must be an address in example.org",
        ),
        (
            "realm_access",
            json!({"roles": "user"}),
            "403: the claim realm_access.roles is \"user\", and must be a list with \"user\"",
        ),
        ("exp", json!(NOW - 99), "401 "),
    ];
    for (name, value, expected) in cases {
        expect_claims(&settings, &with(good.clone(), name, value), expected);
    }
    let by_list = with(without(good, "scope"), "scp", json!(["dask", "read"]));
    expect_claims(&settings, &by_list, "alice");
}

#[test]
fn claims_become_name_groups_admin_and_attributes() {
    let _host = host();
    let settings = with_issuer(settings(), "user_prefix", "corp:");
    let settings = with(settings, "user_claim", json!(["preferred_username", "sub"]));
    let settings = with(settings, "groups_claim", "https://example.org/groups");
    let settings = with(settings, "admin_groups", json!(["wheel"]));
    let settings = with(settings, "attributes", json!({"mail": "email"}));
    let full = with(with(claims(), "preferred_username", "al"), "email", "al@example.org");
    let full = with(full, "https://example.org/groups", json!(["staff", "wheel"]));
    let user = |claims: &Value| ask(&settings, &P256.token(&header(), claims)).unwrap().user;
    let expected = User::new("corp:al")
        .with_groups(["staff", "wheel"])
        .admin(true)
        .with_attribute("mail", "al@example.org");
    assert_eq!(user(&full), expected);
    assert_eq!(user(&claims()), User::new("corp:alice"));
}

#[test]
fn a_payload_must_be_an_object_with_distinct_names() {
    let _host = host();
    let nested = format!(r#"{{"iss":"{ISSUER}","x":{}}}"#, "[".repeat(5000));
    let double = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"a","sub":"b","exp":{}}}"#,
        NOW + 9
    );
    let inner = token();
    for payload in ["", "[]", "7", "null", "{", &nested, &double, &inner] {
        expect(
            ask(&settings(), &raw(payload)),
            "401 invalid_token: the token has a payload",
        );
    }
    let latin1 = P256.sign(
        "ES256",
        &header().to_string(),
        b"{\"iss\":\"https://id.example.org\",\"sub\":\"\xff\"}",
    );
    expect(ask(&settings(), &latin1), "401 invalid_token: the token has a payload");
}
