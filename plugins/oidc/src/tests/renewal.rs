//! Sessions that go on: by a silent flow, or with a refresh token. Attack 26: what is taken away is gone.

use std::collections::BTreeSet;

use portcullis_sdk::Response;

use super::*;

#[test]
fn by_default_only_the_browser_can_tell() {
    let (host, provider) = start();
    let oidc = login(
        json!({ "id_token_hint": true, "groups_claim": "groups", "claims": [{ "claim": "groups", "contains": "staff" }] }),
    );
    provider.change_claims(json!({ "groups": ["staff", "dask"] }));
    let keep = provider.through(&oidc).unwrap().keep.unwrap();
    let asked = host.requests().len();
    expect(
        &outcome(oidc.renew(&keep)),
        "not",
        "an id_token is kept, and no refresh token",
    );
    expect(&outcome(oidc.renew(b"garbage")), "not", "of another version");
    assert_eq!(host.requests().len(), asked);
    // Attack 26: the silent flow says what holds now.
    provider.change_claims(json!({ "groups": ["staff"] }));
    assert_eq!(provider.through(&oidc).unwrap().user.groups, ["staff"]);
    provider.change_claims(json!({ "groups": [] }));
    expect(&outcome(provider.through(&oidc)), "403 groups", "attack 26");
}

#[test]
fn a_refresh_token_renews_once_and_the_next_one_is_kept() {
    let (host, provider) = start();
    let oidc = login(json!({ "refresh_tokens": true, "groups_claim": "groups" }));
    provider.change_claims(json!({ "groups": ["staff"] }));
    let first = provider.through(&oidc).unwrap().keep.unwrap();
    provider.change_claims(json!({ "groups": ["guests"], "nonce": null }));
    let second = oidc.renew(&first).unwrap();
    assert_eq!(
        (second.user.groups.as_slice(), second.handles.as_slice()),
        (&["guests".to_owned()][..], &["sub:alice".to_owned()][..])
    );
    let sent = host.requests().pop().unwrap();
    let form = parameters(str::from_utf8(&sent.body).unwrap());
    assert_eq!(
        (form["grant_type"].as_str(), form["refresh_token"].as_str()),
        ("refresh_token", "refresh 2")
    );
    expect(
        &outcome(oidc.renew(&first)),
        "401 invalid_grant",
        "used already: the session is over",
    );
    let second = second.keep.unwrap();
    // A provider that is down ends no session.
    for (status, expected) in [(500, "503"), (429, "503")] {
        host.answer("https://id.example/realms/a/token", Response::new(status));
        expect(&outcome(oidc.renew(&second)), expected, "down");
    }
    host.answer(
        "https://id.example/realms/a/token",
        Response::new(401).with_body(r#"{"error": "invalid_client"}"#),
    );
    expect(&outcome(oidc.renew(&second)), "503 invalid_client", "our mistake");
    expect(
        &outcome(login(json!({})).renew(&second)),
        "not",
        "the operator has turned it off",
    );
}

#[test]
fn what_a_refresh_says_is_checked_as_at_the_login() {
    for (case, claims, answer, expected) in [
        ("the same nonce", json!({}), json!({}), "alice"),
        ("another nonce", json!({ "nonce": "n" }), json!({}), "401 nonce"),
        (
            "somebody else",
            json!({ "sub": "root", "nonce": null }),
            json!({}),
            "401 another one than at the login",
        ),
        (
            "another audience",
            json!({ "aud": "them", "nonce": null }),
            json!({}),
            "401 aud",
        ),
        (
            "old",
            json!({ "exp": NOW - 100, "nonce": null }),
            json!({}),
            "401 expired",
        ),
        (
            "the same refresh token stays",
            json!({ "nonce": null }),
            json!({ "refresh_token": null }),
            "alice",
        ),
        (
            "no id_token",
            json!({ "nonce": null }),
            json!({ "id_token": null }),
            "not",
        ),
    ] {
        let (_host, provider) = start();
        let oidc = login(json!({ "refresh_tokens": true, "max_age": "1m" }));
        provider.change_claims(json!({ "auth_time": NOW }));
        let keep = provider.through(&oidc).unwrap().keep.unwrap();
        let nonce = provider.nonce();
        // After max_age, which is about logins.
        provider.change_claims(json!({ "auth_time": NOW - 500, "nonce": nonce }));
        provider.change_claims(claims);
        provider.change_answer(answer);
        let result = oidc.renew(&keep);
        if let Ok(arrival) = &result {
            let kept: Value = serde_json::from_slice(arrival.keep.as_ref().unwrap()).unwrap();
            let expected = if case.contains("stays") {
                "refresh 2"
            } else {
                "refresh 3"
            };
            assert_eq!(kept["r"], expected, "{case}");
        }
        expect(&outcome(result), expected, case);
    }
}

/// Else a notice of the provider would end no session that was renewed.
#[test]
fn a_session_keeps_the_handles_that_a_refresh_does_not_name() {
    let tenants = json!({
        "issuer": "https://id.example/{tid}", "tenants": ["a"],
        "metadata_url": "https://id.example/realms/a/.well-known/openid-configuration",
    });
    for (case, issuer, claims, answer, changed) in [
        ("no sid", json!({}), json!({ "sid": null }), json!({}), None),
        (
            "another sid",
            json!({}),
            json!({ "sid": "s2" }),
            json!({}),
            Some("sid:s2"),
        ),
        ("no id_token", json!({}), json!({}), json!({ "id_token": null }), None),
        (
            "no id_token of a tenant",
            tenants,
            json!({}),
            json!({ "id_token": null }),
            None,
        ),
    ] {
        let (_host, provider) = start();
        let mut settings = issuer.clone();
        if issuer.get("tenants").is_some() {
            provider.change_metadata(json!({
                "issuer": "https://id.example/{tenantid}", "authorization_response_iss_parameter_supported": null,
            }));
            provider.change_claims(json!({ "iss": "https://id.example/a", "tid": "a" }));
        }
        settings["refresh_tokens"] = json!(true);
        settings["userinfo"] = json!(true);
        let oidc = login(settings);
        provider.change_claims(json!({ "sid": "s1" }));
        let first = provider.through(&oidc).unwrap();
        assert_eq!(first.handles.len(), 2, "{case}");
        provider.change_claims(json!({ "nonce": null }));
        provider.change_claims(claims);
        provider.change_answer(answer);
        let mut expected = first.handles;
        if let Some(changed) = changed {
            expected[1] = changed.to_owned();
        }
        let set = |handles: &[String]| BTreeSet::from_iter(handles.to_vec());
        let second = oidc.renew(&first.keep.unwrap()).unwrap();
        assert_eq!(set(&second.handles), set(&expected), "{case}");
        let third = oidc.renew(&second.keep.unwrap()).unwrap();
        assert_eq!(set(&third.handles), set(&expected), "{case}");
    }
}

#[test]
fn without_an_id_token_userinfo_says_who_it_is() {
    for (userinfo, expected) in [
        (json!({ "name": "Al" }), "Al"),
        (
            json!({ "sub": "root", "name": "Al" }),
            "401 sub of userinfo is \"root\"",
        ),
    ] {
        let (_host, provider) = start();
        let oidc = login(json!({ "refresh_tokens": true, "userinfo": true, "user_claim": ["name", "sub"] }));
        let keep = provider.through(&oidc).unwrap().keep.unwrap();
        provider.change_answer(json!({ "id_token": null }));
        provider.change_userinfo(userinfo);
        expect(&outcome(oidc.renew(&keep)), expected, "userinfo");
    }
}

/// A cookie has little room: what doesn't fit isn't kept, and the log says so.
#[test]
fn what_is_kept_fits() {
    for (case, claims, answer, keeps, warnings) in [
        ("both fit", json!({}), json!({}), (true, true), 0),
        (
            "a large id_token",
            json!({ "x": "y".repeat(1500) }),
            json!({}),
            (true, false),
            1,
        ),
        (
            "both large",
            json!({ "x": "y".repeat(1500) }),
            json!({ "refresh_token": "r".repeat(2048) }),
            (false, false),
            2,
        ),
        (
            "no refresh token",
            json!({}),
            json!({ "refresh_token": null }),
            (false, true),
            0,
        ),
    ] {
        let (host, provider) = start();
        provider.change_claims(claims);
        provider.change_answer(answer);
        let oidc = login(json!({ "refresh_tokens": true, "id_token_hint": true }));
        let arrival = provider.through(&oidc).unwrap();
        let kept = arrival.keep.map_or(Value::Null, |kept| {
            assert!(kept.len() <= 2048, "{case}");
            serde_json::from_slice(&kept).unwrap()
        });
        assert_eq!((kept.get("r").is_some(), kept.get("h").is_some()), keeps, "{case}");
        assert_eq!(host.log().len(), warnings, "{case}: {:?}", host.log());
        assert!(!format!("{:?}", host.log()).contains("rrrr"), "{case}");
    }
}
