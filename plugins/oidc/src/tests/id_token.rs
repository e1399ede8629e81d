//! Who has logged in, by the word of the provider: attacks 11, 12, 26 and 27.

use portcullis_sdk::Response;
use portcullis_sdk::testing::FakeProvider;

use super::*;

/// Attacks 11 and 12: each claim that lies, alone. `null` removes one.
#[test]
fn an_id_token_is_for_us_and_for_this_flow() {
    let leeway = json!({ "exp": NOW - 59, "iat": NOW + 59 });
    for (case, claims, expected) in [
        ("as it should be", json!({}), "alice"),
        ("clocks differ within the leeway", leeway, "alice"),
        (
            "several audiences, and we have asked",
            json!({ "aud": ["us", "api"], "azp": "us" }),
            "alice",
        ),
        ("no hash of the access token", json!({ "at_hash": null }), "alice"),
        (
            "attack 11: no nonce",
            json!({ "nonce": null }),
            "401 the id_token has no nonce",
        ),
        (
            "attack 11: another nonce",
            json!({ "nonce": "AAAAAAAAAAAAAAAAAAAAAA" }),
            "401 nonce is not that",
        ),
        (
            "attack 11: an empty nonce",
            json!({ "nonce": "" }),
            "401 nonce is not that",
        ),
        ("attack 11: nonces", json!({ "nonce": [""] }), "401 nonce is not that"),
        (
            "attack 12: another issuer",
            json!({ "iss": "https://evil.example" }),
            "401 iss is \"https://evil.example\"",
        ),
        (
            "attack 12: the issuer with a slash",
            json!({ "iss": format!("{ISSUER}/") }),
            "401 must be https://id.example/realms/a",
        ),
        ("attack 12: no issuer", json!({ "iss": null }), "401 iss is missing"),
        (
            "attack 12: another audience",
            json!({ "aud": "them" }),
            "401 aud is \"them\", and must have \"us\"",
        ),
        (
            "attack 12: audiences of others",
            json!({ "aud": ["them", "US"] }),
            "401 must have \"us\"",
        ),
        ("attack 12: no audience", json!({ "aud": null }), "401 aud is missing"),
        (
            "attack 12: an audience that is no text",
            json!({ "aud": 7 }),
            "401 the claim aud is neither",
        ),
        (
            "attack 12: who has asked isn't said",
            json!({ "aud": ["us", "api"] }),
            "401 doesn't say who has asked",
        ),
        (
            "attack 12: another has asked",
            json!({ "azp": "them" }),
            "401 azp is \"them\", and must be \"us\"",
        ),
        (
            "attack 12: another of several has asked",
            json!({ "aud": ["us", "them"], "azp": "them" }),
            "401 azp",
        ),
        ("attack 12: old", json!({ "exp": NOW - 60 }), "401 has expired"),
        (
            "attack 12: never expires",
            json!({ "exp": null }),
            "401 the claim exp is missing",
        ),
        (
            "attack 12: issued later",
            json!({ "iat": NOW + 61 }),
            "401 not valid yet",
        ),
        (
            "attack 12: issued never",
            json!({ "iat": null }),
            "401 the claim iat is missing",
        ),
        (
            "attack 12: valid later",
            json!({ "nbf": NOW + 61 }),
            "401 not valid yet",
        ),
        (
            "attack 12: of another access token",
            json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }),
            "401 at_hash",
        ),
        (
            "attack 12: a hash that is no text",
            json!({ "at_hash": 7 }),
            "401 at_hash",
        ),
        ("nobody", json!({ "sub": null }), "401 sub is missing"),
        ("an empty subject", json!({ "sub": "" }), "401 sub is \"\""),
        ("a subject that is no text", json!({ "sub": 7 }), "401 sub is 7"),
        (
            "a long subject",
            json!({ "sub": "x".repeat(256) }),
            "401 1 to 255 bytes",
        ),
    ] {
        let (_host, provider) = start();
        provider.change_claims(claims);
        expect(&outcome(provider.through(&login(json!({})))), expected, case);
    }
}

/// Attack 12: who signs, and how, is for the keys to say.
#[test]
fn an_id_token_is_signed_by_the_provider() {
    let forged = |provider: &FakeProvider, header: Value, change: &dyn Fn(String) -> String| {
        let oidc = login(json!({}));
        let departure = oidc.begin(&flow()).unwrap();
        let callback = provider.log_in(&departure).unwrap();
        let claims = json!({
            "iss": ISSUER, "aud": "us", "sub": "alice", "iat": NOW, "exp": NOW + 300, "nonce": provider.nonce(),
        });
        let token = change(provider.token(header, &claims));
        provider.change_answer(json!({ "id_token": token }));
        outcome(oidc.finish(&flow(), &departure.memo, &callback))
    };
    let same = |token: String| token;
    let unsigned = |token: String| format!("{}.", token.rsplit_once('.').unwrap().0);
    let changed = |token: String| {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let claims = base64_of(&json!({ "iss": ISSUER, "aud": "us", "sub": "root", "exp": NOW + 300 }).to_string());
        format!("{header}.{claims}.{signature}")
    };
    let encrypted = |_: String| "a.b.c.d.e".to_owned();
    for (case, header, change, expected) in [
        (
            "as it should be",
            json!({}),
            &same as &dyn Fn(String) -> String,
            "alice",
        ),
        ("typed", json!({ "typ": "jwt" }), &same, "alice"),
        ("none", json!({ "alg": "none" }), &unsigned, "401 signed with \"none\""),
        ("no signature", json!({}), &unsigned, "401 no key"),
        (
            "HMAC",
            json!({ "alg": "HS256" }),
            &same,
            "401 signed with HS256, and must be with",
        ),
        ("another kind of key", json!({ "alg": "RS256" }), &same, "401 RS256"),
        (
            "an unknown key",
            json!({ "kid": "2" }),
            &same,
            "401 no key of https://id.example/realms/a has the id \"2\"",
        ),
        ("other claims", json!({}), &changed, "401 no key"),
        (
            "an access token",
            json!({ "typ": "at+jwt" }),
            &same,
            "401 type (typ) is \"at+jwt\", and must be JWT",
        ),
        ("a logout token", json!({ "typ": "logout+jwt" }), &same, "401 type"),
        ("extensions", json!({ "crit": ["exp"] }), &same, "401 crit"),
        (
            "a key of its own",
            json!({ "jwk": {}, "kid": "3" }),
            &same,
            "401 no key",
        ),
        ("encrypted", json!({}), &encrypted, "401 not a signed JWT"),
    ] {
        let (_host, provider) = start();
        expect(&forged(&provider, header, change), expected, case);
    }
    let (host, provider) = start();
    expect(&outcome(provider.through(&login(json!({})))), "alice", "the first key");
    // Between two flows, or between the start of one and its callback.
    provider.rotate_key();
    host.advance(std::time::Duration::from_secs(31));
    expect(&outcome(provider.through(&login(json!({})))), "alice", "the next key");
    host.answer("https://id.example/realms/a/jwks", Response::new(503));
    provider.rotate_key();
    host.advance(std::time::Duration::from_secs(31));
    expect(
        &outcome(provider.through(&login(json!({})))),
        "401 no key",
        "a key that nobody can get",
    );
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn the_user_has_authenticated_within_max_age() {
    for (claims, expected) in [
        (json!({ "auth_time": NOW - 10 }), "alice"),
        (json!({ "auth_time": NOW - 660 }), "alice"),
        (
            json!({ "auth_time": NOW - 661 }),
            "401 661 s ago, and at most 600 s are allowed",
        ),
        (json!({ "auth_time": NOW + 61 }), "401 max_age"),
        (json!({}), "401 auth_time is missing"),
        (json!({ "auth_time": "x" }), "401 auth_time is \"x\""),
    ] {
        let (_host, provider) = start();
        provider.change_claims(claims.clone());
        let found = outcome(provider.through(&login(json!({ "max_age": "10m" }))));
        expect(&found, expected, &claims.to_string());
    }
}

/// Attack 27: membership is what the provider says, never the end of an address.
#[test]
fn an_address_is_no_membership() {
    let rules = json!({ "claims": [
        { "claim": "hd", "equals": "example.org" }, { "claim": "email_verified", "equals": true },
    ], "user_claim": "email" });
    let domain = json!({ "claims": [{ "claim": "email", "email_domain": ["example.org"] }], "user_claim": "email" });
    for (settings, claims, expected) in [
        (
            &rules,
            json!({ "hd": "example.org", "email": "al@example.org", "email_verified": true }),
            "al@example.org",
        ),
        (
            &rules,
            json!({ "email": "al@example.org", "email_verified": true }),
            "403 the claim hd is missing",
        ),
        (
            &rules,
            json!({ "hd": "evil.example", "email": "al@example.org", "email_verified": true }),
            "403 hd",
        ),
        (
            &rules,
            json!({ "hd": "example.org", "email": "al@example.org", "email_verified": false }),
            "403 email_verified",
        ),
        (
            &rules,
            json!({ "hd": "example.org", "email": "al@example.org" }),
            "403 email_verified",
        ),
        (&domain, json!({ "email": "al@evilexample.org" }), "403 email"),
        (&domain, json!({ "email": "al@evil.example@example.org" }), "403 email"),
        (&domain, json!({ "email": "al@example.org.evil.example" }), "403 email"),
    ] {
        let (_host, provider) = start();
        provider.change_claims(claims.clone());
        expect(
            &outcome(provider.through(&login(settings.clone()))),
            expected,
            &claims.to_string(),
        );
    }
}

#[test]
fn userinfo_says_what_the_id_token_lacks_and_of_the_same_user() {
    let settings = json!({ "userinfo": true, "groups_claim": "groups", "user_claim": ["name", "sub"] });
    for (case, userinfo, expected) in [
        ("more", json!({ "groups": ["a"], "name": "Al" }), "signed"),
        (
            "attack: somebody else",
            json!({ "sub": "root" }),
            "401 sub of userinfo is \"root\", and that of the id_token is \"alice\"",
        ),
        ("nobody", json!({ "sub": null }), "401 sub is missing"),
    ] {
        let (_host, provider) = start();
        provider.change_claims(json!({ "name": "signed" }));
        provider.change_userinfo(userinfo);
        let result = provider.through(&login(settings.clone()));
        if let Ok(arrival) = &result {
            assert_eq!(arrival.user.groups, ["a"]);
        }
        expect(&outcome(result), expected, case);
    }
    for (case, answer, expected) in [
        (
            "refused",
            Response::new(401),
            "503 https://id.example/realms/a/userinfo answered with status 401",
        ),
        (
            "a JWT",
            Response::new(200).with_body("e30.e30.c2ln"),
            "503 userinfo_signed_response_alg",
        ),
        (
            "a name twice",
            Response::new(200).with_body(r#"{"sub": "a", "sub": "alice"}"#),
            "503",
        ),
    ] {
        let (host, provider) = start();
        host.answer("https://id.example/realms/a/userinfo", answer);
        expect(&outcome(provider.through(&login(settings.clone()))), expected, case);
    }
    let (_host, provider) = start();
    provider.change_metadata(json!({ "userinfo_endpoint": null }));
    expect(
        &outcome(provider.through(&login(settings))),
        "503 no userinfo_endpoint",
        "nowhere",
    );
}

/// A provider for several tenants: Entra's `common`.
#[test]
fn only_users_of_listed_tenants_come_in() {
    let entra = "https://login.example/{tid}/v2.0";
    for (case, iss, tid, expected) in [
        ("listed", "https://login.example/t-1/v2.0", "t-1", "alice"),
        (
            "another tenant",
            "https://login.example/t-9/v2.0",
            "t-9",
            "401 settings: issuer, tenants",
        ),
        (
            "one in the name, another in the claim",
            "https://login.example/t-1/v2.0",
            "t-2",
            "401 tenants",
        ),
        (
            "the place itself",
            "https://login.example/{tenantid}/v2.0",
            "{tenantid}",
            "401 tenants",
        ),
    ] {
        let host = FakeHost::start();
        host.set_unix_seconds(NOW);
        let provider = FakeProvider::openid(&host, "https://login.example/common/v2.0");
        provider.change_metadata(json!({
            "issuer": "https://login.example/{tenantid}/v2.0", "authorization_response_iss_parameter_supported": null,
        }));
        provider.change_claims(json!({ "iss": iss, "tid": tid, "sid": "s" }));
        let oidc = login(json!({
            "issuer": entra, "tenants": ["t-1", "t-2"],
            "metadata_url": "https://login.example/common/v2.0/.well-known/openid-configuration",
        }));
        let result = provider.through(&oidc);
        if let Ok(arrival) = &result {
            // Two tenants may have the same subject.
            assert!(
                arrival.handles[0].starts_with("sub#") && arrival.handles[1].starts_with("sid#"),
                "{arrival:?}"
            );
        }
        expect(&outcome(result), expected, case);
        for (named, expected) in [
            (iss, expected),
            ("https://login.example/t-8/v2.0", "401 another issuer"),
        ] {
            let departure = oidc.begin(&flow()).unwrap();
            let code = provider.log_in(&departure).unwrap().get("code").unwrap().to_owned();
            let callback = portcullis_sdk::Parameters::new([("code", code.as_str()), ("iss", named)]);
            let kind = expected.split(' ').next().unwrap();
            expect(&outcome(oidc.finish(&flow(), &departure.memo, &callback)), kind, case);
        }
    }
}
