//! Wrong settings. Each error names the setting and says what is wrong.

use portcullis_plugin_jwt::Jwt;
use portcullis_plugin_jwt::Settings;
use portcullis_sdk::schemars::schema_for;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;

fn error(settings: &Value) -> String {
    match configure::<Jwt>(&settings.to_string()) {
        Ok(_) => panic!("{settings} are accepted"),
        Err(error) => error,
    }
}

#[track_caller]
fn expect_error(settings: &Value, problem: &str) {
    let error = error(settings);
    assert!(error.contains(problem), "{settings}: {error}");
}

/// Security case 11: a setting that accepts tokens for other services must be enabled explicitly.
#[test]
fn issuer_and_audience_can_only_be_omitted_explicitly() {
    let issuer = |issuer: Value| json!({ "issuers": [issuer] });
    let jwks = settings()["issuers"][0]["jwks"].clone();
    let no_audience = json!({"issuer": ISSUER, "jwks": jwks});
    expect_error(&issuer(no_audience.clone()), "issuers[0]: audiences: they are missing");
    expect_error(
        &issuer(with(no_audience.clone(), "audiences", json!([]))),
        "audiences: they are missing",
    );
    expect_error(
        &issuer(with(no_audience.clone(), "audiences", json!([""]))),
        "audiences: one of them is empty",
    );
    let any = with(no_audience, "insecure_any_audience", true);
    assert!(configure::<Jwt>(&issuer(any.clone()).to_string()).is_ok());
    expect_error(&issuer(with(any, "audiences", json!(["a"]))), "contradicts audiences");

    let no_issuer = json!({"audiences": ["a"], "jwks": jwks});
    expect_error(&issuer(no_issuer.clone()), "issuers[0]: issuer: it is missing");
    expect_error(&issuer(with(no_issuer.clone(), "issuer", "")), "issuer: it is empty");
    let any = with(no_issuer, "insecure_any_issuer", true);
    assert!(configure::<Jwt>(&issuer(any.clone()).to_string()).is_ok());
    expect_error(&issuer(with(any.clone(), "issuer", "a")), "contradicts issuer");
    for (name, value) in [("tenants", json!(["a"])), ("insecure_any_tenant", json!(true))] {
        expect_error(
            &issuer(with(any.clone(), name, value)),
            "tenants: they need an issuer with a place for a tenant",
        );
    }
    expect_error(
        &issuer(with(without(any.clone(), "jwks"), "discovery", true)),
        "discovery: it needs issuer",
    );
    expect_error(&json!({"issuers": [any, any]}), "any issuer is listed twice");
}

#[test]
fn an_issuer_has_exactly_one_source_of_keys() {
    let base = without(settings()["issuers"][0].clone(), "jwks");
    let problem =
        "issuers[0]: an issuer needs exactly one of discovery, metadata_url, jwks_url, key_url, jwks, pem and secret";
    expect_error(&json!({"issuers": [base]}), problem);
    expect_error(
        &json!({"issuers": [with(with(base.clone(), "discovery", true), "jwks_url", "https://a/b")]}),
        problem,
    );
    expect_error(
        &json!({"issuers": [with(with(base.clone(), "pem", "x"), "secret", "x")]}),
        problem,
    );
    for url in [
        "http://id.example.org/jwks",
        "id.example.org",
        "https://u:p@id.example.org/",
    ] {
        expect_error(
            &json!({"issuers": [with(base.clone(), "jwks_url", url)]}),
            "issuers[0]: jwks_url: it",
        );
    }
    let insecure = with(
        with(base.clone(), "jwks_url", "http://idp.cluster/jwks"),
        "insecure_http",
        true,
    );
    assert!(configure::<Jwt>(&json!({"issuers": [insecure]}).to_string()).is_ok());
    let named = with(with(base, "issuer", "corp"), "discovery", true);
    expect_error(
        &json!({"issuers": [named]}),
        "issuers[0]: issuer: it must be an https URL",
    );
}

/// Security case 8.
#[test]
fn a_secret_must_be_long_and_secret() {
    let with_secret = |secret: &str| json!({"issuers": [{"issuer": ISSUER, "audiences": ["a"], "secret": secret}]});
    for secret in ["x", "\n", &"x".repeat(31)] {
        expect_error(&with_secret(secret), "secret: it needs at least 32 bytes");
    }
    expect_error(&with_secret(""), "a secret must not be empty");
    let pem = crate::mint::RSA.pem();
    for text in [
        pem.as_str(),
        &format!("\n\t {pem}"),
        &settings()["issuers"][0]["jwks"].to_string(),
    ] {
        let error = error(&with_secret(text));
        assert!(error.contains("not a secret"), "{error}");
        assert!(!error.contains("MII"), "{error}");
    }
    let short_for_512 = with_issuer(with_secret(&"x".repeat(40)), "algorithms", json!(["HS512"]));
    expect_error(
        &short_for_512,
        "issuers[0]: algorithms: one of them is not for these keys",
    );
}

#[test]
fn algorithms_must_match_the_keys() {
    for listed in [json!(["HS256"]), json!(["RS256", "HS256"])] {
        expect_error(
            &with_issuer(settings(), "algorithms", listed),
            "algorithms: one of them is not for these keys",
        );
    }
    expect_error(
        &with_issuer(settings(), "algorithms", json!([])),
        "algorithms: the list is empty",
    );
    for listed in [json!(["none"]), json!(["rs256"]), json!(["ES521"])] {
        expect_error(&with_issuer(settings(), "algorithms", listed), "unknown variant");
    }
}

#[test]
fn attributes_have_bounds() {
    let of_names = |names: Vec<String>| {
        let claims = names.into_iter().map(|name| (name, json!("sub")));
        with(settings(), "attributes", Value::Object(claims.collect()))
    };
    let many = |number: usize| (0..number).map(|n| format!("n{n}")).collect();
    let long = |length: usize| vec!["n".repeat(length)];
    for accepted in [many(64), long(1), long(256)] {
        assert!(
            configure::<Jwt>(&of_names(accepted.clone()).to_string()).is_ok(),
            "{accepted:?}"
        );
    }
    expect_error(&of_names(many(65)), "attributes: a user has at most 64");
    for refused in [long(0), long(257), vec!["a\nb".to_owned()]] {
        expect_error(&of_names(refused), "attributes: a name must have 1 to 256 bytes");
    }
}

#[test]
fn keys_must_be_usable() {
    for (jwks, problem) in [
        (json!("hello"), "issuers[0]: jwks: it is neither"),
        (json!({"keys": []}), "issuers[0]: jwks: it has no keys"),
        (
            json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}),
            "for HMAC, use the setting secret",
        ),
        (
            json!({"keys": [{"kty": "EC", "crv": "P-521"}]}),
            "1 of 1 keys can't be used: a key lacks a number",
        ),
        (json!(7), "expected a JWK Set, or keys as text"),
    ] {
        expect_error(&with_keys(jwks), problem);
    }
}

#[test]
fn other_errors_name_the_setting() {
    let cases = [
        (json!({"issuers": []}), "issuers: there are none"),
        (json!({}), "missing field `issuers`"),
        (with(settings(), "issuer", "x"), "unknown field `issuer`"),
        (with_issuer(settings(), "audience", "x"), "unknown field `audience`"),
        (
            with(settings(), "token_from", json!([])),
            "token_from: the list is empty",
        ),
        (
            with(settings(), "token_from", json!([{"cookie": "a"}, {"cookie": "a"}])),
            "token_from: a place is listed twice",
        ),
        (
            with(settings(), "token_from", json!([{"header": "A"}, {"header": "a"}])),
            "token_from: a place is listed twice",
        ),
        (
            with(settings(), "token_from", json!([{"scheme": "Bearer"}])),
            "token_from[0]: needs exactly one of",
        ),
        (with(settings(), "typ", json!([])), "typ: the list is empty"),
        (with(settings(), "scopes", json!(["a b"])), "scopes: "),
        (
            with(settings(), "claims", json!([{"claim": "a"}])),
            "claims[0]: the rule on a needs exactly one",
        ),
        (
            with(settings(), "required_claims", json!(["a..b"])),
            "required_claims[0]: a claim must have a name",
        ),
        (
            with(settings(), "user_claim", json!([])),
            "user_claim: the list is empty",
        ),
        (with(settings(), "user_claim", 7), "user_claim: expected a claim"),
        (
            with(settings(), "admin_groups", json!(["a"])),
            "admin_groups: without groups_claim",
        ),
        (with(settings(), "leeway", "2h"), "leeway: it is more than one hour"),
        (with(settings(), "leeway", "soon"), "leeway: "),
        (
            with(settings(), "min_refresh_interval", 0),
            "min_refresh_interval: it must",
        ),
        (with(settings(), "timeout", 0), "timeout: it must"),
        (with(settings(), "max_lifetime", 0), "max_lifetime: it must"),
        (with(settings(), "max_token_bytes", 0), "max_token_bytes: it must"),
        (
            with(settings(), "unknown_issuer", "accept"),
            "unknown_issuer: unknown variant",
        ),
        (with(settings(), "attributes", json!({"": "a"})), "attributes: "),
        (with_issuer(settings(), "user_prefix", "a\nb"), "user_prefix: "),
    ];
    for (settings, problem) in cases {
        expect_error(&settings, problem);
    }
    let mut twice = settings();
    let issuer = twice["issuers"][0].clone();
    twice["issuers"].as_array_mut().unwrap().push(issuer);
    expect_error(&twice, "issuers: https://id.example.org is listed twice");
}

#[test]
fn every_setting_is_described_in_the_schema_and_in_the_readme() {
    fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let in_schema = property["description"].as_str().is_some_and(|text| !text.is_empty());
            if !in_schema || !include_str!("../../README.md").contains(name) {
                found.push(format!("{path}{name}"));
            }
        }
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            undescribed(definition, &format!("{name}."), found);
        }
    }
    let schema = schema_for!(Settings).to_value();
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(schema["additionalProperties"], json!(false));
    let shown = schema.to_string();
    for name in [
        "insecure_any_audience",
        "min_refresh_interval",
        "email_domain",
        "scheme",
        "secret_encoding",
    ] {
        assert!(shown.contains(&format!("\"{name}\"")), "{name}");
    }
}
