//! From the first redirect to the token endpoint: attacks 7, 9, 10 and 13, and how we say who we are.

use portcullis_sdk::Departure;
use portcullis_sdk::Parameters;
use portcullis_sdk::Response;
use portcullis_sdk::crypto::Algorithm;
use portcullis_sdk::http::HttpError;

use super::*;

#[test]
fn somebody_logs_in() {
    let (host, provider) = start();
    provider.change_claims(json!({ "email": "al@example.org", "groups": ["staff"], "sid": "s1" }));
    let oidc = login(json!({ "user_claim": "email", "groups_claim": "groups", "admin_groups": ["staff"] }));
    let arrival = provider.through(&oidc).unwrap();
    assert_eq!(arrival.user.name, "al@example.org");
    assert_eq!(
        (arrival.user.groups, arrival.user.admin),
        (vec!["staff".to_owned()], true)
    );
    assert_eq!(arrival.handles, ["sub:alice", "sid:s1"]);
    assert_eq!((arrival.keep, arrival.renew_after.as_secs()), (None, 900));
    provider.through(&oidc).unwrap();
    let asked = host.requests();
    let asked = Vec::from_iter(asked.iter().map(|request| request.url.rsplit('/').next().unwrap()));
    // What the provider publishes is kept.
    assert_eq!(asked, ["openid-configuration", "token", "jwks", "token"]);
}

#[test]
fn the_request_is_what_the_settings_say() {
    let (_host, _provider) = start();
    let oidc = login(json!({
        "scope": "openid groups", "prompt": "select_account", "max_age": "1h", "authorization_parameters": { "hd": "example.org" },
    }));
    for (flow, prompt) in [(flow(), "select_account"), (flow().silent(), "none")] {
        let asked = parameters(&oidc.begin(&flow).unwrap().location);
        let expected = [
            ("client_id", "us"),
            ("hd", "example.org"),
            ("max_age", "3600"),
            ("prompt", prompt),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid groups"),
            ("state", "state"),
            // Attack 13.
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in expected {
            assert_eq!(asked[name], value, "{name}");
        }
        assert_eq!((asked["nonce"].len(), asked["code_challenge"].len()), (22, 43));
        assert_eq!(asked.len(), expected.len() + 2, "{asked:?}");
    }
}

/// Attacks 7, 9 and 10: who answers is looked at before anything that is said, and what is said is never shown as it is.
#[test]
fn a_callback_is_the_providers_own() {
    for (case, metadata, callback, expected) in [
        (
            "attack 7: no iss",
            json!({}),
            &[("code", "c")][..],
            "401 doesn't say its issuer",
        ),
        (
            "attack 7: no iss with an error",
            json!({}),
            &[("error", "access_denied")],
            "401 doesn't say its issuer",
        ),
        (
            "attack 7: another iss",
            json!({}),
            &[("code", "c"), ("iss", "https://evil.example")],
            "401 its iss is \"https://evil.example\", and \"https://id.example/realms/a\" is expected",
        ),
        (
            "attack 7: another iss, though the provider says that it sends none",
            json!({ "authorization_response_iss_parameter_supported": null }),
            &[("code", "c"), ("iss", "https://id.example/realms/b")],
            "401 another issuer",
        ),
        (
            "attack 7: another iss with an error",
            json!({}),
            &[("error", "login_required"), ("iss", "https://evil.example")],
            "401 another issuer",
        ),
        (
            "attack 9: no code",
            json!({}),
            &[("iss", ISSUER)],
            "401 neither a code nor an error",
        ),
        (
            "attack 9: code and error",
            json!({}),
            &[("code", "c"), ("error", "access_denied"), ("iss", ISSUER)],
            "401 access_denied",
        ),
        (
            "attack 10: control characters",
            json!({}),
            &[
                ("error", "access_denied"),
                ("error_description", "<b>\r\nhi\u{1b}[0m"),
                ("iss", ISSUER),
            ],
            "401 \"access_denied\": <b>  hi [0m",
        ),
        (
            "the provider asks",
            json!({}),
            &[("error", "login_required"), ("iss", ISSUER)],
            "not",
        ),
        (
            "the provider is down",
            json!({}),
            &[("error", "temporarily_unavailable"), ("iss", ISSUER)],
            "503",
        ),
    ] {
        let (host, provider) = start();
        provider.change_metadata(metadata);
        let oidc = login(json!({}));
        let memo = oidc.begin(&flow()).unwrap().memo;
        let callback = Parameters::new(callback.iter().copied());
        expect(&outcome(oidc.finish(&flow(), &memo, &callback)), expected, case);
        let exchanges = host
            .requests()
            .iter()
            .filter(|request| request.method == "POST")
            .count();
        assert_eq!(exchanges, 0, "{case}");
    }
}

/// Attack 13, and row 4 of the attacks: a code counts with its own verifier and redirect URI, once.
#[test]
fn a_code_of_another_flow_is_refused() {
    let (host, provider) = start();
    let oidc = login(json!({}));
    let (one, other) = (oidc.begin(&flow()).unwrap(), oidc.begin(&flow()).unwrap());
    let log_in = |departure: &Departure| provider.log_in(departure).unwrap();
    let refused = "401 invalid_grant";
    expect(
        &outcome(oidc.finish(&flow(), &other.memo, &log_in(&one))),
        refused,
        "another verifier",
    );
    let elsewhere = Flow::new("state", "https://evil.test/callback");
    expect(
        &outcome(oidc.finish(&elsewhere, &one.memo, &log_in(&one))),
        refused,
        "another redirect URI",
    );
    let callback = log_in(&one);
    expect(&outcome(oidc.finish(&flow(), &one.memo, &callback)), "alice", "its own");
    expect(&outcome(oidc.finish(&flow(), &one.memo, &callback)), refused, "twice");
    expect(
        &outcome(oidc.finish(&flow(), b"?", &log_in(&one))),
        "401 memo",
        "a broken memo",
    );
    let exchanges = host
        .requests()
        .iter()
        .filter(|request| request.url.ends_with("/token"))
        .count();
    assert_eq!(exchanges, 4, "no code is sent again");
}

#[test]
fn each_way_to_say_who_we_are() {
    let hidden = json!({ "client_id": "us", "client_secret": null });
    for (case, changes, authorization, in_form) in [
        (
            "client_secret_basic",
            json!({ "client_secret": "s: é" }),
            Some("Basic dXM6cyUzQSslQzMlQTk="),
            &[][..],
        ),
        (
            "client_secret_post",
            json!({ "token_endpoint_auth_method": "client_secret_post" }),
            None,
            &[("client_id", "us"), ("client_secret", "s3cret")],
        ),
        (
            "the gateway adds the secret",
            hidden.clone(),
            None,
            &[("client_id", "us")],
        ),
        (
            "a public client",
            with_auth(hidden, "none"),
            None,
            &[("client_id", "us")],
        ),
    ] {
        let (host, provider) = start();
        expect(&outcome(provider.through(&login(changes))), "alice", case);
        let requests = host.requests();
        let sent = requests.iter().find(|request| request.url.ends_with("/token")).unwrap();
        assert_eq!(sent.header("authorization").as_deref(), authorization, "{case}");
        let form = parameters(str::from_utf8(&sent.body).unwrap());
        let shown = ["client_id", "client_secret"].map(|name| Some((name, form.get(name)?.as_str())));
        assert_eq!(shown.into_iter().flatten().collect::<Vec<_>>(), in_form, "{case}");
    }
}

fn with_auth(mut changes: Value, method: &str) -> Value {
    changes["token_endpoint_auth_method"] = method.into();
    changes
}

#[test]
fn a_key_signs_for_us() {
    for (audience, expected) in [
        ("issuer", ISSUER),
        ("token_endpoint", "https://id.example/realms/a/token"),
    ] {
        let (host, provider) = start();
        host.signing_key("client", |algorithm, message| {
            assert_eq!(algorithm, Algorithm::Es256);
            Ok(message.len().to_string().into_bytes())
        });
        let oidc = login(json!({
            "client_secret": null, "signing_key": "client", "signing_algorithm": "ES256", "signing_key_id": "k1",
            "signing_certificate_hash": "h", "assertion_audience": audience, "pushed_authorization_requests": true,
        }));
        expect(&outcome(provider.through(&oidc)), "alice", audience);
        let requests = host.requests();
        let posts = requests.iter().filter(|request| request.method == "POST");
        let mut ids = Vec::new();
        for sent in posts {
            let form = parameters(str::from_utf8(&sent.body).unwrap());
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let parts = Vec::from_iter(form["client_assertion"].split('.').map(part));
            assert_eq!(
                serde_json::from_slice::<Value>(&parts[0]).unwrap(),
                json!({ "alg": "ES256", "typ": "JWT", "kid": "k1", "x5t#S256": "h" })
            );
            let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
            assert_eq!(
                (&claims["iss"], &claims["sub"], &claims["aud"]),
                (&json!("us"), &json!("us"), &json!(expected))
            );
            assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 60)));
            ids.push(claims["jti"].to_string());
            assert_eq!(sent.header("authorization"), None);
        }
        assert!(ids.len() == 2 && ids[0] != ids[1], "each is used once: {ids:?}");
    }
    let (_host, _provider) = start();
    let oidc = login(json!({ "client_secret": null, "signing_key": "client", "pushed_authorization_requests": true }));
    let refusal = oidc.begin(&flow()).unwrap_err();
    expect(
        &refused(refusal),
        "503 the key \"client\" can't sign for us",
        "no key is granted",
    );
}

fn part(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn a_request_is_pushed_if_the_provider_wants_it() {
    let (host, provider) = start();
    provider.change_metadata(json!({ "require_pushed_authorization_requests": true }));
    let oidc = login(json!({}));
    let departure = oidc.begin(&flow()).unwrap();
    assert_eq!(
        departure.location,
        "https://id.example/realms/a/authorize?client_id=us&request_uri=urn%3Apushed%3A1"
    );
    let sent = host.requests().pop().unwrap();
    assert_eq!(sent.header("authorization").as_deref(), Some("Basic dXM6czNjcmV0"));
    let pushed = parameters(str::from_utf8(&sent.body).unwrap());
    assert_eq!(
        (pushed["state"].as_str(), pushed["redirect_uri"].as_str()),
        ("state", CALLBACK)
    );
    let callback = provider.log_in(&departure).unwrap();
    expect(
        &outcome(oidc.finish(&flow(), &departure.memo, &callback)),
        "alice",
        "pushed",
    );
    for (status, body, expected) in [
        (400, r#"{"error": "invalid_request"}"#, "503 invalid_request"),
        (401, r#"{"error": "invalid_client"}"#, "503 invalid_client"),
        (500, "", "503 https://id.example/realms/a/par answered with status 500"),
        (201, "{}", "503 has no request_uri"),
    ] {
        host.answer("https://id.example/realms/a/par", Response::new(status).with_body(body));
        expect(&refused(oidc.begin(&flow()).unwrap_err()), expected, body);
    }
    let (_host, provider) = start();
    provider.change_metadata(
        json!({ "pushed_authorization_request_endpoint": null, "require_pushed_authorization_requests": true }),
    );
    expect(
        &refused(oidc.begin(&flow()).unwrap_err()),
        "503 no pushed_authorization_request_endpoint",
        "nowhere",
    );
}

#[test]
fn what_the_token_endpoint_says() {
    for (case, answer, expected) in [
        (
            "expired",
            Ok((400, r#"{"error": "invalid_grant"}"#)),
            "401 invalid_grant",
        ),
        (
            "our mistake",
            Ok((401, r#"{"error": "invalid_client"}"#)),
            "503 invalid_client",
        ),
        (
            "broken",
            Ok((502, "<html>")),
            "503 https://id.example/realms/a/token answered with status 502",
        ),
        (
            "slow",
            Err(HttpError::TimedOut),
            "503 https://id.example/realms/a/token",
        ),
        ("huge", Err(HttpError::TooLarge(1)), "503"),
        ("a redirect", Ok((302, "")), "503 302"),
        ("garbage", Ok((200, "{")), "503 has no access_token"),
        (
            "no id_token",
            Ok((200, r#"{"access_token": "hunter2"}"#)),
            "503 no id_token",
        ),
        (
            "no token",
            Ok((200, r#"{"access_token": "hunter2", "id_token": "hunter2"}"#)),
            "401 not a signed JWT",
        ),
    ] {
        let (host, provider) = start();
        match answer {
            Ok((status, body)) => host.answer(
                "https://id.example/realms/a/token",
                Response::new(status).with_body(body),
            ),
            Err(error) => host.answer("https://id.example/realms/a/token", error),
        }
        let found = outcome(provider.through(&login(json!({}))));
        expect(&found, expected, case);
        assert!(!found.contains("hunter2"), "{found}");
        assert_eq!(
            host.requests()
                .iter()
                .filter(|request| request.url.ends_with("/token"))
                .count(),
            1,
            "{case}"
        );
    }
}

#[test]
fn a_provider_that_lies_of_itself_is_not_used() {
    for (metadata, expected) in [
        (
            json!({ "issuer": "https://evil.example" }),
            "503 it says \"https://evil.example\"",
        ),
        (
            json!({ "issuer": "https://id.example/realms/a/" }),
            "503 they differ by a slash at the end",
        ),
        (json!({ "issuer": null }), "503 another issuer"),
        (
            json!({ "token_endpoint": null }),
            "503 isn't the metadata of a provider",
        ),
        (
            json!({ "token_endpoint": "http://id.example/token" }),
            "503 token_endpoint: it must be https",
        ),
        (
            json!({ "authorization_endpoint": "javascript:alert(1)" }),
            "503 authorization_endpoint: it must be an https URL",
        ),
        (
            json!({ "jwks_uri": "http://127.0.0.1/keys" }),
            "503 jwks_uri: it is not https, though the metadata is",
        ),
    ] {
        let (_host, provider) = start();
        provider.change_metadata(metadata.clone());
        let refusal = login(json!({})).begin(&flow()).unwrap_err();
        expect(&refused(refusal), expected, &metadata.to_string());
    }
    for (answer, expected) in [
        (Response::new(404), "503 answered with status 404"),
        (
            Response::new(302).with_header("location", "https://evil.example/"),
            "503 answered with status 302",
        ),
        (
            Response::new(200).with_body("x".repeat(300_000)),
            "503 openid-configuration",
        ),
    ] {
        let (host, _provider) = start();
        host.answer("https://id.example/realms/a/.well-known/openid-configuration", answer);
        let refusal = login(json!({})).begin(&flow()).unwrap_err();
        expect(&refused(refusal), expected, "metadata");
    }
}
