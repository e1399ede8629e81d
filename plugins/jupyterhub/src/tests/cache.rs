//! How long the hub's answers are cached. The tests move the clock of the fake gateway.

use super::*;

#[test]
fn a_decision_expires_with_the_cached_answer() {
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
        "the token was revoked, but the answer has not expired"
    );
    host.advance(Duration::from_secs(1));
    assert!(matches!(ask(&scoped(), "token t0k"), Err(Refusal::Unauthenticated(..))));
}

#[test]
fn a_shorter_cache_time_applies_to_existing_entries() {
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
fn setting_the_clock_back_extends_no_entry() {
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
fn an_unknown_token_is_cached_for_seconds_only() {
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
fn tokens_do_not_share_answers_and_are_not_stored() {
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
