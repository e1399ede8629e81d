//! A session authenticates the user that its authenticator identified. If anything about it is in doubt, it is ignored.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::Grants;
use portcullis::Outcome;
use portcullis::decision::Verdict;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::Sessions;
use serde_json::json;

use self::common::ENGINE;
use self::common::SCRIPTED;
use self::common::basic;
use self::common::built_in;
use self::common::request;
use self::common::simple;

fn sessions(key: &Key) -> Arc<Sessions> {
    let options = Options::new("session", false, Duration::from_secs(3600)).unwrap();
    Arc::new(Sessions::new(KeyRing::new([key.clone()]).unwrap(), options))
}

fn gate(authenticator: &Authenticator, key: &Key) -> Gate {
    Gate::new(Chain::new([authenticator.clone()]), Some(sessions(key)))
}

async fn log_in(gate: &Gate, user: &str) -> String {
    let admission = gate.admit(&request(&[("authorization", &basic(user, "secret"))])).await;
    let cookie = admission.set_cookie.expect("no session").to_str().unwrap().to_owned();
    cookie.split(';').next().unwrap().to_owned()
}

async fn user(gate: &Gate, headers: &[(&'static str, &str)]) -> Option<String> {
    match gate.admit(&request(headers)).await.decision.outcome {
        Outcome::Grant(authenticated) => Some(authenticated.identity().name().to_owned()),
        Outcome::Refuse(_) => None,
    }
}

#[tokio::test]
async fn a_session_authenticates_its_user_and_credentials_take_precedence() {
    let simple = simple(json!({"password": "secret", "valid_for": "1h"})).await;
    let gate = gate(&simple, &Key::generate().unwrap());
    let alice = log_in(&gate, "alice").await;
    let (bob, wrong) = (basic("bob", "secret"), basic("bob", "wrong"));
    let two = format!("{alice}; {}", log_in(&gate, "bob").await);
    let cut = &alice[..alice.len() - 1];
    for (headers, expected) in [
        (vec![("cookie", alice.as_str())], Some("alice")),
        (vec![("cookie", &alice), ("authorization", &bob)], Some("bob")),
        (vec![("cookie", &alice), ("authorization", &wrong)], None),
        (vec![("cookie", &alice), ("authorization", "Bearer x")], None),
        (vec![("cookie", cut)], None),
        (vec![("cookie", &two)], None),
        (vec![("cookie", "session=")], None),
        (vec![("cookie", ";;; =; session")], None),
    ] {
        assert_eq!(user(&gate, &headers).await.as_deref(), expected, "{headers:?}");
    }
}

/// Sessions that a change of their authenticator doesn't end.
fn outliving(key: &Key) -> Arc<Sessions> {
    let options = Options::new("session", false, Duration::from_secs(3600)).unwrap();
    Arc::new(Sessions::new(KeyRing::new([key.clone()]).unwrap(), options).outlive_changes())
}

#[tokio::test]
async fn a_session_ends_with_the_authenticator_or_the_settings_that_admitted_it() {
    let key = Key::generate().unwrap();
    let settings = json!({"password": "secret", "valid_for": "1h"});
    let before = simple(settings.clone()).await;
    let after = simple(json!({"password": "changed", "valid_for": "1h"})).await;
    let other = Authenticator::builder("other", &built_in("simple")).settings(settings);
    let other = other.build().await.unwrap();
    let cookie = log_in(&gate(&before, &key), "alice").await;
    for (what, authenticators, ends, outlives) in [
        ("the same", vec![&before], false, true),
        ("the same, and another before it", vec![&other, &before], false, true),
        ("other settings", vec![&after], true, true),
        ("another name", vec![&other], true, false),
        ("none", vec![], true, false),
    ] {
        let chain = || Chain::new(authenticators.iter().map(|authenticator| (*authenticator).clone()));
        for (sessions, accepted) in [(sessions(&key), !ends), (outliving(&key), outlives)] {
            let gate = Gate::new(chain(), Some(sessions));
            let found = user(&gate, &[("cookie", &cookie)]).await;
            assert_eq!(found.as_deref(), accepted.then_some("alice"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_session_names_its_authenticator_and_says_how_long_it_is_still_valid() {
    let simple = simple(json!({"password": "secret", "valid_for": "30m"})).await;
    let gate = gate(&simple, &Key::generate().unwrap());
    let cookie = log_in(&gate, "alice").await;
    let admission = gate.admit(&request(&[("cookie", &cookie)])).await;
    assert!(admission.via_session && admission.decision.steps.is_empty());
    let authenticated = admission.decision.outcome.user().unwrap();
    assert_eq!(authenticated.identity().name(), "alice");
    assert_eq!(authenticated.authenticator(), "simple");
    let left = authenticated.valid_for().unwrap();
    assert!(!left.is_zero() && left <= Duration::from_secs(30 * 60), "{left:?}");
}

#[tokio::test]
async fn no_session_of_a_disabled_authenticator_is_accepted() {
    let key = Key::generate().unwrap();
    let simple = simple(json!({"password": "secret", "valid_for": "1h"})).await;
    let disabled = Authenticator::disabled("simple", Grants::default(), "it isn't what was ordered");
    let outliving = Gate::new(Chain::new([disabled.clone()]), Some(outliving(&key)));
    let cookie = log_in(&gate(&simple, &key), "alice").await;
    for gate in [gate(&disabled, &key), outliving] {
        assert_eq!(user(&gate, &[("cookie", &cookie)]).await, None);
    }
}

#[tokio::test]
async fn a_decision_that_may_not_be_reused_starts_no_session() {
    let simple = simple(json!({"password": "secret", "valid_for": 0})).await;
    let gate = gate(&simple, &Key::generate().unwrap());
    let admission = gate
        .admit(&request(&[("authorization", &basic("alice", "secret"))]))
        .await;
    assert!(matches!(admission.decision.outcome, Outcome::Grant(_)));
    assert_eq!(admission.set_cookie, None);
}

/// Case 52 of `docs/security-cases.md`: a hostile plugin could plant a session of an attacker.
#[tokio::test]
async fn no_plugin_sets_a_cookie_of_the_gateway() {
    let scripted = Authenticator::builder("scripted", &SCRIPTED).build().await.unwrap();
    let gate = gate(&scripted, &Key::generate().unwrap());
    ENGINE.reserve_cookie("own-*");
    for (cookie, is_refused) in [
        ("session=x; Path=/", true),
        ("SESSION=x", true),
        ("=session=x", true),
        ("__Host-portcullis-flow-aaaaaaaa=x", true),
        ("own-thing=x", true),
        ("session2=x", false),
        ("other=session=x", false),
    ] {
        for script in [
            format!("Script grant,set-cookie={cookie}"),
            format!("Script respond 302,set-cookie={cookie}"),
        ] {
            let admission = gate.admit(&request(&[("authorization", &script)])).await;
            let [step] = admission.decision.steps.as_slice() else {
                panic!("{script}: {admission:?}");
            };
            let fails = matches!(&step.verdict, Verdict::Fail(why) if why.contains("one of the gateway's own cookies"));
            assert_eq!(fails, is_refused, "{script}: {}", step.verdict);
        }
    }
}
