//! The end of a session: at the provider after a logout here, and by the provider's notice. Attack 24.

use portcullis_sdk::Parameters;
use portcullis_sdk::Response;

use super::*;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn notice(provider: &FakeProvider, header: Value, changes: Value) -> Result<Vec<String>, String> {
    let mut claims = json!({
        "iss": ISSUER, "aud": "us", "iat": NOW, "exp": NOW + 120, "jti": "j", "sub": "alice", "sid": "s1", "events": { EVENT: {} },
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    let token = provider.token(header, &claims);
    login(json!({}))
        .notice(&Parameters::new([("logout_token", token)]))
        .map_err(refused)
}

#[test]
fn a_notice_ends_what_it_names() {
    let long = "x".repeat(200);
    for (case, header, changes, expected) in [
        ("a session", json!({ "typ": "logout+jwt" }), json!({}), "sid:s1"),
        (
            "of an older provider",
            json!({}),
            json!({ "exp": null, "iat": NOW - 299 }),
            "sid:s1",
        ),
        ("typed as any", json!({ "typ": "JWT" }), json!({}), "sid:s1"),
        ("all of a subject", json!({}), json!({ "sid": null }), "sub:alice"),
        (
            "a session of nobody that is named",
            json!({}),
            json!({ "sub": null }),
            "sid:s1",
        ),
        ("a long name", json!({}), json!({ "sid": long }), "sid#"),
    ] {
        let (_host, provider) = start();
        let handles = notice(&provider, header, changes).unwrap();
        assert!(
            handles.len() == 1 && handles[0].starts_with(expected) && handles[0].len() <= 128,
            "{case}: {handles:?}"
        );
    }
    // The handle is the one that the session got.
    let (_host, provider) = start();
    provider.change_claims(json!({ "sid": "x".repeat(200), "sub": "y".repeat(200) }));
    let arrival = provider.through(&login(json!({}))).unwrap();
    let ended = notice(&provider, json!({}), json!({ "sid": "x".repeat(200) })).unwrap();
    assert_eq!(arrival.handles[1..], ended);
    assert!(arrival.handles.iter().all(|handle| handle.len() <= 128), "{arrival:?}");
}

/// Attack 24: nobody is signed out by anything else.
#[test]
fn nobody_but_the_provider_signs_anybody_out() {
    for (case, header, changes, expected) in [
        ("none", json!({ "alg": "none" }), json!({}), "401 signed with \"none\""),
        ("HMAC", json!({ "alg": "HS256" }), json!({}), "401 HS256"),
        ("a nonce", json!({}), json!({ "nonce": "n" }), "401 nonce"),
        ("no iat", json!({}), json!({ "iat": null }), "401 iat is missing"),
        (
            "old",
            json!({}),
            json!({ "iat": NOW - 301 }),
            "401 must be one of the last 300 s",
        ),
        (
            "of the future",
            json!({}),
            json!({ "iat": NOW + 61 }),
            "401 not valid yet",
        ),
        ("expired", json!({}), json!({ "exp": NOW - 60 }), "401 expired"),
        (
            "another audience",
            json!({}),
            json!({ "aud": "them" }),
            "401 aud is \"them\"",
        ),
        ("no audience", json!({}), json!({ "aud": null }), "401 aud is missing"),
        (
            "another issuer",
            json!({}),
            json!({ "iss": "https://evil.example" }),
            "401 iss",
        ),
        (
            "no event",
            json!({}),
            json!({ "events": null }),
            "401 events are missing",
        ),
        (
            "another event",
            json!({}),
            json!({ "events": { "x": {} } }),
            "401 must have http://schemas",
        ),
        (
            "an event that is no object",
            json!({}),
            json!({ "events": { EVENT: "" } }),
            "401 events",
        ),
        ("no id", json!({}), json!({ "jti": null }), "401 jti is missing"),
        (
            "nobody",
            json!({}),
            json!({ "sub": null, "sid": null }),
            "401 neither a sid nor a sub",
        ),
        (
            "an access token",
            json!({ "typ": "at+jwt" }),
            json!({}),
            "401 type (typ) is \"at+jwt\", and must be logout+jwt",
        ),
        (
            "20 KB",
            json!({}),
            json!({ "x": "y".repeat(20_000) }),
            "401 at most 16384 are read",
        ),
    ] {
        let (_host, provider) = start();
        expect(&notice(&provider, header, changes).unwrap_err(), expected, case);
    }
    let (host, provider) = start();
    let oidc = login(json!({}));
    let ask =
        |parameters: &[(&str, &str)]| refused(oidc.notice(&Parameters::new(parameters.iter().copied())).unwrap_err());
    expect(&ask(&[("token", "x")]), "401 no logout_token", "another form");
    expect(&ask(&[("logout_token", &"x".repeat(1_000_000))]), "401 bytes", "1 MB");
    assert_eq!(host.requests().len(), 0, "nobody is asked about these");
    // An id_token of a login is no notice.
    let oidc = login(json!({ "id_token_hint": true }));
    let keep = provider.through(&oidc).unwrap().keep.unwrap();
    let kept: Value = serde_json::from_slice(&keep).unwrap();
    expect(
        &ask(&[("logout_token", kept["h"].as_str().unwrap())]),
        "401 events are missing",
        "an id_token",
    );
    host.advance(std::time::Duration::from_secs(4000));
    host.answer(
        "https://id.example/realms/a/.well-known/openid-configuration",
        Response::new(500),
    );
    expect(
        &notice(&provider, json!({}), json!({})).unwrap_err(),
        "503 status 500",
        "the provider is down",
    );
}

#[test]
fn a_logout_goes_on_at_the_provider() {
    let back = "https://gateway.test/.portcullis/login/id/signed-out";
    for (case, settings, metadata, expected) in [
        (
            "by id",
            json!({}),
            json!({}),
            Some("https://id.example/realms/a/logout?client_id=us&post_logout_redirect_uri="),
        ),
        ("nowhere", json!({}), json!({ "end_session_endpoint": null }), None),
        ("turned off", json!({ "end_session": false }), json!({}), None),
        (
            "in the provider's own way",
            json!({ "end_session_endpoint": "https://auth.example/logout?x=y", "end_session_return_parameter": "logout_uri" }),
            json!({ "end_session_endpoint": null }),
            Some("https://auth.example/logout?x=y&client_id=us&logout_uri="),
        ),
    ] {
        let (_host, provider) = start();
        provider.change_metadata(metadata);
        let found = login(settings).end(None, back);
        let expected =
            expected.map(|url| format!("{url}https%3A%2F%2Fgateway.test%2F.portcullis%2Flogin%2Fid%2Fsigned-out"));
        assert_eq!(found, expected, "{case}");
    }
    let (_host, provider) = start();
    let oidc = login(json!({ "id_token_hint": true }));
    let keep = provider.through(&oidc).unwrap().keep.unwrap();
    let kept: Value = serde_json::from_slice(&keep).unwrap();
    let asked = parameters(&oidc.end(Some(&keep), back).unwrap());
    assert_eq!(
        (asked["id_token_hint"].as_str(), asked["client_id"].as_str()),
        (kept["h"].as_str().unwrap(), "us")
    );
    assert!(!parameters(&oidc.end(Some(b"?"), back).unwrap()).contains_key("id_token_hint"));
    let host = FakeHost::start();
    assert_eq!(
        oidc.end(Some(&keep), back),
        None,
        "the provider is down, and the session is over here"
    );
    drop(host);
}
