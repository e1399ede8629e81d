//! How the hub's answers decide about a request. Only a complete and valid answer lets it in.

use super::*;

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
fn a_token_for_another_service_is_forbidden() {
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
            matches!(&refusal, Refusal::Forbidden(why, _) if why.contains("alice")),
            "{scopes:?}: {refusal:?}"
        );
    }
    let _host = hub_that_answers(alice(&[
        "self",
        "access:services!service=a",
        "access:services!service=b",
    ]));
    let Err(Refusal::Forbidden(why, None)) = ask(&scoped(), "token t0k") else {
        panic!("a token for other services was accepted")
    };
    assert!(
        why.ends_with(
            "lacks the scope access:services!service=dask-gateway, and has access:services!service=a, access:services!service=b"
        ),
        "{why}"
    );
}

#[test]
fn a_wider_scope_is_accepted() {
    let _host = hub_that_answers(alice(&["access:services"]));
    assert!(ask(&scoped(), "token t0k").is_ok());
}

#[test]
fn the_operator_can_name_the_scopes_or_accept_every_token() {
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
fn no_user_can_be_mistaken_for_a_service() {
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
fn a_failing_hub_makes_the_authenticator_unavailable() {
    let answers: [Result<Response, HttpError>; 10] = [
        Ok(Response::new(500)),
        Ok(Response::new(503)),
        Ok(Response::new(429)),
        Ok(Response::new(204)),
        Ok(Response::new(200).with_body("<html>")),
        Ok(Response::new(200).with_body("{}")),
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
            "the hub is asked again next time: {answer:?}"
        );
    }
}

#[test]
fn an_answer_has_at_most_4_mib() {
    let model = json!({ "kind": "user", "name": "alice", "scopes": ["access:services"] }).to_string();
    for (size, accepted) in [(4 << 20, true), ((4 << 20) + 1, false)] {
        let padding = " ".repeat(size - model.len());
        let _host = hub_that_answers(Response::new(200).with_body(format!("{model}{padding}")));
        assert_eq!(ask(&scoped(), "token t0k").is_ok(), accepted, "{size}");
    }
}

#[test]
fn a_user_name_that_is_invalid_in_a_header_is_forbidden() {
    for name in [json!("a\nb"), json!(1), json!(null)] {
        let model = json!({ "kind": "user", "name": name, "scopes": ["access:services"] });
        let _host = hub_that_answers(Response::new(200).with_body(model.to_string()));
        for _ in 0..2 {
            assert!(
                matches!(ask(&scoped(), "token t0k"), Err(Refusal::Forbidden(..))),
                "{name}"
            );
        }
    }
}

#[test]
fn a_redirect_is_followed_on_the_hub_only() {
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
