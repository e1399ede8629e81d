//! People who log in at the hub with a browser.

use portcullis_sdk::Flow;
use portcullis_sdk::Login;
use portcullis_sdk::testing::FakeProvider;

use super::*;

const TOKEN_URL: &str = "http://hub:8081/hub/api/oauth2/token";

fn with_login(more: Value) -> Value {
    let mut login = json!({
        "authorize_url": "https://hub.example/hub/api/oauth2/authorize",
        "client_secret": "s",
        "logout_url": "https://hub.example/hub/logout",
    });
    login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "service_name": "dask-gateway", "login": login })
}

/// A hub where alice logs in, and what it says of her token.
fn hub(answer: Response) -> (FakeHost, FakeProvider) {
    let host = hub_that_answers(answer);
    let provider = FakeProvider::start(&host, TOKEN_URL, r#"{"access_token": "at", "token_type": "Bearer"}"#);
    (host, provider)
}

fn in_session(scope: &str) -> Response {
    let model = json!({ "kind": "user", "name": "alice", "groups": ["ml"], "scopes": [scope], "session_id": "5f" });
    Response::new(200).with_body(model.to_string())
}

const SCOPE: &str = "access:services!service=dask-gateway";

#[test]
fn a_user_logs_in_and_the_session_goes_on_while_the_hub_knows_its_token() {
    let (host, provider) = hub(in_session(SCOPE));
    let plugin = plugin(with_login(json!({})));
    let arrival = provider.through(&plugin).unwrap();
    assert_eq!(arrival.user, User::new("alice").with_groups(["ml"]));
    assert_eq!(arrival.renew_after, Duration::from_secs(300));
    assert_eq!(
        (arrival.keep.as_deref(), arrival.handles.as_slice()),
        (Some(&b"at"[..]), &["session:5f".to_owned()][..])
    );
    let [exchange, who] = host.requests().try_into().unwrap();
    let form = String::from_utf8(exchange.body.clone()).unwrap();
    // The hub accepts id and secret in the form only.
    assert!(
        form.contains("client_id=service-dask-gateway&client_secret=s"),
        "{form}"
    );
    assert_eq!(exchange.header("authorization"), None);
    assert_eq!(who.header("authorization").as_deref(), Some("token at"));

    assert_eq!(plugin.renew(b"at"), Ok(arrival));
    assert_eq!(host.requests().len(), 3, "it is asked again, whatever is cached");
    host.answer(USER_URL, Response::new(403));
    assert!(matches!(plugin.renew(b"at"), Err(Refusal::Unauthenticated(_, None))));
    host.answer(USER_URL, HttpError::TimedOut);
    assert!(matches!(plugin.renew(b"at"), Err(Refusal::Unavailable(_))));
    assert!(matches!(plugin.renew(b""), Err(Refusal::Unauthenticated(_, None))));
    let out = plugin.end(None, "https://gateway.test/");
    assert_eq!(out.as_deref(), Some("https://hub.example/hub/logout"));
}

#[test]
fn the_browser_is_sent_to_the_hub_without_scope_and_prompt() {
    let (_host, provider) = hub(in_session(SCOPE));
    let plugin = plugin(with_login(json!({ "client_id": "service-other" })));
    let flow = Flow::new("st", "https://gateway.test/callback").silent();
    let departure = plugin.begin(&flow).unwrap();
    let (place, query) = departure.location.split_once('?').unwrap();
    assert_eq!(place, "https://hub.example/hub/api/oauth2/authorize");
    assert!(
        query.contains("client_id=service-other") && query.contains("state=st"),
        "{query}"
    );
    assert!(!query.contains("scope") && !query.contains("prompt"), "{query}");
    assert!(provider.log_in(&departure).is_ok());
}

#[test]
fn a_user_without_access_to_the_service_is_forbidden() {
    let (_host, provider) = hub(in_session("access:services!service=other"));
    let plugin = plugin(with_login(json!({})));
    let refused = provider.through(&plugin);
    assert!(
        matches!(&refused, Err(Refusal::Forbidden(why, None)) if why.contains("lacks the scope")),
        "{refused:?}"
    );
}

#[test]
fn a_hub_that_is_not_well_lets_nobody_in() {
    let plugin = plugin(with_login(json!({})));
    for (token, expected) in [
        (r#"{"error": "invalid_grant"}"#, "unauthenticated"),
        (r#"{"error": "invalid_client"}"#, "unavailable"),
        (r#"{"access_token": "a b"}"#, "unavailable"),
        ("", "unavailable"),
    ] {
        let (_host, provider) = hub(in_session(SCOPE));
        provider.set_tokens(token);
        let found = match provider.through(&plugin) {
            Err(Refusal::Unauthenticated(..)) => "unauthenticated",
            Err(Refusal::Unavailable(_)) => "unavailable",
            other => panic!("{token}: {other:?}"),
        };
        assert_eq!(found, expected, "{token}");
    }
}

#[test]
fn without_settings_for_it_nobody_logs_in_and_wrong_ones_are_named() {
    let _host = hub_with_alice();
    let flow = Flow::new("st", "https://gateway.test/callback");
    assert!(matches!(scoped().begin(&flow), Err(Refusal::Unavailable(why)) if why.contains("settings.login")));
    assert_eq!(scoped().end(None, "https://gateway.test/"), None);
    for (settings, expected) in [
        (
            with_login(json!({ "client_id": "dask-gateway" })),
            "login.client_id: it begins with \"service-\"",
        ),
        (
            json!({ "allow_any_token": true, "login": { "authorize_url": "https://hub.example/a", "client_secret": "s" } }),
            "login.client_id: set it",
        ),
        (
            json!({ "service_name": "a", "login": { "authorize_url": "https://hub.example/a" } }),
            "login: missing field",
        ),
    ] {
        let mut all = json!({ "api_url": "http://hub:8081/hub/api" });
        all.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let error = configure::<JupyterHub>(&all.to_string()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
