//! The plugin before a hub that is made up: what it asks, what it makes of the answers, how long it remembers them.

use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::http::HttpError;
use portcullis_sdk::log::Level;
use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use super::JupyterHub;

const USER_URL: &str = "http://hub:8081/hub/api/user";

fn plugin(settings: Value) -> JupyterHub {
    let mut all = json!({ "api_url": "http://hub:8081/hub/api" });
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    configure(&all.to_string()).unwrap()
}

fn scoped() -> JupyterHub {
    plugin(json!({ "service_name": "dask-gateway" }))
}

fn ask(plugin: &JupyterHub, authorization: &str) -> Result<Grant, Refusal> {
    plugin.authenticate(&RequestBuilder::get("/").header("authorization", authorization).build())
}

fn alice(scopes: &[&str]) -> Response {
    let model = json!({ "kind": "user", "name": "alice", "admin": true, "groups": ["ml"], "scopes": scopes });
    Response::new(200).with_body(model.to_string())
}

fn hub_that_answers(answer: Response) -> FakeHost {
    let host = FakeHost::start();
    host.set_unix_seconds(1_000_000);
    host.answer(USER_URL, answer);
    host
}

fn hub_with_alice() -> FakeHost {
    hub_that_answers(alice(&[
        "access:services!service=dask-gateway",
        "read:users:name!user=alice",
    ]))
}

#[test]
fn a_token_for_the_service_lets_its_owner_in_under_every_scheme() {
    for authorization in [
        "jupyterhub t0k",
        "JupyterHub t0k",
        "token t0k",
        "TOKEN  t0k",
        "Bearer t0k",
        "bearer t0k",
    ] {
        let host = hub_with_alice();
        let grant = Grant::from(User::new("alice").with_groups(["ml"]).admin(true)).valid_for(Duration::from_secs(300));
        assert_eq!(ask(&scoped(), authorization), Ok(grant), "{authorization}");
        let sent = host.requests();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].url, USER_URL);
        assert_eq!(sent[0].header("authorization").as_deref(), Some("token t0k"));
        assert_eq!(sent[0].timeout, Duration::from_secs(4));
    }
}

#[test]
fn requests_without_a_token_are_left_to_others_and_the_hub_is_not_asked() {
    let host = hub_with_alice();
    for authorization in ["", "Basic YWxpY2U6", "jupyterhubs t0k"] {
        assert_eq!(
            ask(&scoped(), authorization),
            Err(Refusal::not_mine(Challenge::new("jupyterhub")))
        );
    }
    let bare = scoped().authenticate(&RequestBuilder::get("/").build());
    assert_eq!(bare, Err(Refusal::not_mine(Challenge::new("jupyterhub"))));
    assert!(host.requests().is_empty());
}

#[test]
fn what_cannot_be_a_token_is_refused_and_never_sent() {
    let host = hub_with_alice();
    for authorization in [
        "jupyterhub",
        "token ",
        "token a b",
        "token t\u{e4}",
        "token a\tb",
        &format!("token {}", "a".repeat(9000)),
    ] {
        assert!(
            matches!(ask(&scoped(), authorization), Err(Refusal::Unauthenticated(..))),
            "{authorization}"
        );
    }
    let twice = RequestBuilder::get("/")
        .header("authorization", "token a")
        .header("authorization", "token b")
        .build();
    assert!(matches!(
        scoped().authenticate(&twice),
        Err(Refusal::Unauthenticated(..))
    ));
    assert!(host.requests().is_empty());
}

#[test]
fn a_token_that_the_hub_does_not_know_is_refused() {
    for status in [401, 403, 404] {
        let host = hub_that_answers(Response::new(status).with_body(r#"{"status": 403, "message": "Forbidden"}"#));
        let refusal = Refusal::unauthenticated("JupyterHub doesn't know the token", Challenge::new("jupyterhub"));
        assert_eq!(ask(&scoped(), "token t0k"), Err(refusal), "{status}");
        let warned = host
            .log()
            .iter()
            .any(|(level, line)| *level == Level::Warn && line.contains("api_url"));
        assert_eq!(warned, status == 404, "a wrong api_url looks like this");
    }
}

#[test]
fn a_token_that_was_made_for_something_else_is_forbidden() {
    let cases: [&[&str]; 5] = [
        &[],
        &["access:services!service=other"],
        &["access:services!group=ml", "access:services!user=alice"],
        &["self", "inherit", "access:servers!user=alice"],
        &["access:services!service=dask-gateway2", "Access:services"],
    ];
    for scopes in cases {
        let _host = hub_that_answers(alice(scopes));
        let refusal = ask(&scoped(), "token t0k").unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Forbidden(why) if why.contains("alice")),
            "{scopes:?}: {refusal:?}"
        );
    }
}

#[test]
fn a_wider_scope_lets_in_as_well() {
    let _host = hub_that_answers(alice(&["access:services"]));
    assert!(ask(&scoped(), "token t0k").is_ok());
}

#[test]
fn the_operator_may_name_the_scopes_or_let_every_token_in() {
    let _host = hub_that_answers(alice(&["custom:lab!user=alice"]));
    let cases = [
        (json!({ "access_scopes": ["custom:lab!user=alice"] }), true),
        (json!({ "access_scopes": r#"["x", "custom:lab!user=alice"]"# }), true),
        (json!({ "access_scopes": ["custom:lab"] }), false),
        (
            json!({ "access_scopes": ["custom:lab!user=alice"], "service_name": "dask-gateway" }),
            true,
        ),
        (json!({ "service_name": "dask-gateway" }), false),
        (json!({ "allow_any_token": true }), true),
    ];
    for (settings, expected) in cases {
        assert_eq!(
            ask(&plugin(settings.clone()), "token t0k").is_ok(),
            expected,
            "{settings}"
        );
    }
}

#[test]
fn a_service_is_named_so_that_no_user_can_be_taken_for_it() {
    let cases = [
        ("service", "nightly", "service:nightly"),
        ("user", "service:nightly", "user:service:nightly"),
    ];
    for (kind, name, expected) in cases {
        let model = json!({ "kind": kind, "name": name, "admin": false, "scopes": ["access:services"] });
        let _host = hub_that_answers(Response::new(200).with_body(model.to_string()));
        assert_eq!(ask(&scoped(), "token t0k").unwrap().user, User::new(expected));
    }
}

#[test]
fn a_hub_that_cannot_say_makes_nobody_anybody() {
    let answers: [Result<Response, HttpError>; 11] = [
        Ok(Response::new(500)),
        Ok(Response::new(503)),
        Ok(Response::new(429)),
        Ok(Response::new(204)),
        Ok(Response::new(200).with_body("<html>")),
        Ok(Response::new(200).with_body("{}")),
        Ok(Response::new(200).with_body(r#"{"name": 1}"#)),
        Ok(Response::new(302).with_header("location", "http://elsewhere/hub/api/user")),
        Err(HttpError::TimedOut),
        Err(HttpError::Denied),
        Err(HttpError::Unreachable("connection refused".to_owned())),
    ];
    for answer in answers {
        let host = FakeHost::start();
        let served = answer.clone();
        host.serve(move |_| served.clone());
        assert!(
            matches!(ask(&scoped(), "token t0k"), Err(Refusal::Unavailable(_))),
            "{answer:?}"
        );
        assert!(
            host.cache_entries().is_empty(),
            "it is asked again next time: {answer:?}"
        );
    }
}

#[test]
fn a_name_that_no_header_can_carry_is_forbidden() {
    let model = json!({ "kind": "user", "name": "a\nb", "scopes": ["access:services"] });
    let _host = hub_that_answers(Response::new(200).with_body(model.to_string()));
    assert!(matches!(ask(&scoped(), "token t0k"), Err(Refusal::Forbidden(_))));
}

#[test]
fn a_redirect_is_followed_with_the_token_on_the_hub_only() {
    let host = hub_with_alice();
    host.answer(
        "http://hub:8081/api/user",
        Response::new(302).with_header("location", "/hub/api/user"),
    );
    let plugin = plugin(json!({ "api_url": "http://hub:8081/api/", "service_name": "dask-gateway" }));
    assert!(ask(&plugin, "token t0k").is_ok());

    host.answer(
        USER_URL,
        Response::new(302).with_header("location", "http://elsewhere/user"),
    );
    assert!(matches!(ask(&plugin, "token other"), Err(Refusal::Unavailable(_))));
    assert!(
        host.requests()
            .iter()
            .all(|request| request.url.starts_with("http://hub:8081/"))
    );
}

#[test]
fn an_answer_is_reused_until_it_is_too_old_and_the_decision_no_longer() {
    let host = hub_with_alice();
    ask(&scoped(), "token t0k").unwrap();
    host.advance(Duration::from_secs(290));
    let grant = ask(&scoped(), "bearer t0k").unwrap();
    assert_eq!(grant.valid_for, Some(Duration::from_secs(10)));
    assert_eq!(host.requests().len(), 1);

    host.answer(USER_URL, Response::new(403));
    host.advance(Duration::from_secs(9));
    assert!(
        ask(&scoped(), "token t0k").is_ok(),
        "revoked, but the answer is not too old"
    );
    host.advance(Duration::from_secs(1));
    assert!(matches!(ask(&scoped(), "token t0k"), Err(Refusal::Unauthenticated(..))));
}

#[test]
fn a_shorter_cache_counts_for_what_is_cached_already() {
    let host = hub_with_alice();
    ask(&scoped(), "token t0k").unwrap();
    host.advance(Duration::from_secs(20));
    ask(
        &plugin(json!({ "service_name": "dask-gateway", "cache": "10s" })),
        "token t0k",
    )
    .unwrap();
    assert_eq!(host.requests().len(), 2);
}

#[test]
fn a_clock_that_is_set_back_lengthens_nothing() {
    let host = hub_with_alice();
    ask(&scoped(), "token t0k").unwrap();
    host.set_unix_seconds(900_000);
    assert_eq!(
        ask(&scoped(), "token t0k").unwrap().valid_for,
        Some(Duration::from_secs(300))
    );
    assert_eq!(host.requests().len(), 2);
}

#[test]
fn an_unknown_token_is_remembered_for_seconds_only() {
    let host = hub_that_answers(Response::new(403));
    for _ in 0..3 {
        assert!(ask(&scoped(), "token t0k").is_err());
    }
    assert_eq!(host.requests().len(), 1);
    host.answer(USER_URL, alice(&["access:services"]));
    host.advance(Duration::from_secs(5));
    assert!(ask(&scoped(), "token t0k").is_ok());
}

#[test]
fn tokens_share_no_answer_and_none_is_stored() {
    let host = hub_with_alice();
    host.serve(|request| {
        let known = request.header("authorization").as_deref() == Some("token secret-t0k");
        Ok(if known {
            alice(&["access:services"])
        } else {
            Response::new(403)
        })
    });
    assert!(ask(&scoped(), "token secret-t0k").is_ok());
    assert!(ask(&scoped(), "token secret-t0").is_err());
    let entries = host.cache_entries();
    assert_eq!(entries.len(), 2);
    assert!(
        entries.iter().all(|(key, left)| !key.contains("t0k") && *left <= 300),
        "{entries:?}"
    );
    assert!(host.log().iter().all(|(_, line)| !line.contains("t0k")));
}

#[test]
fn without_a_cache_the_hub_is_asked_every_time() {
    let host = hub_with_alice();
    let plugin = plugin(json!({ "service_name": "dask-gateway", "cache": 0 }));
    for _ in 0..2 {
        assert_eq!(ask(&plugin, "token t0k").unwrap().valid_for, None);
    }
    assert_eq!(host.requests().len(), 2);
    assert!(host.cache_entries().is_empty());
}

#[test]
fn wrong_settings_are_errors_that_name_the_setting() {
    let cases = [
        (json!({}), "service_name: set it, or access_scopes"),
        (json!({ "service_name": "" }), "service_name: it must not be empty"),
        (
            json!({ "service_name": "x", "allow_any_token": true }),
            "allow_any_token: it contradicts",
        ),
        (
            json!({ "access_scopes": [] }),
            "access_scopes: expected at least one scope",
        ),
        (
            json!({ "service_name": "x", "api_url": "hub:8081" }),
            "api_url: expected an http or https URL",
        ),
        (
            json!({ "service_name": "x", "cache": "6m" }),
            "cache: at most 5 minutes",
        ),
        (
            json!({ "service_name": "x", "timeout": 0 }),
            "timeout: it must be longer",
        ),
        (json!({ "servicename": "x" }), "servicename: unknown field"),
    ];
    for (settings, expected) in cases {
        let mut all = json!({ "api_url": "http://hub:8081/hub/api" });
        all.as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let error = configure::<JupyterHub>(&all.to_string()).unwrap_err();
        assert!(error.starts_with(expected), "{settings}: {error}");
    }
}
