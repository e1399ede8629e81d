//! Which authenticators of a chain are called, and what the client gets. A plugin's failure never leads to the next
//! one.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use http::HeaderName;
use http::StatusCode;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Grants;
use portcullis::Limits;
use portcullis::Outcome;
use portcullis::decision::Attribute;
use serde_json::json;

use self::common::basic;
use self::common::hostile;
use self::common::request;
use self::common::simple;

#[tokio::test]
async fn only_not_mine_leads_to_the_next_authenticator() {
    let chain = Chain::new([
        hostile(Limits::default()).await,
        simple(json!({"password": "secret"})).await,
    ]);
    let (good, bad) = (basic("alice", "secret"), basic("alice", "wrong"));
    for (told, authorization, verdicts, status) in [
        ("", None, &["pass", "pass"][..], StatusCode::UNAUTHORIZED),
        ("", Some(&good), &["pass", "grant"], StatusCode::OK),
        ("", Some(&bad), &["pass", "reject"], StatusCode::UNAUTHORIZED),
        ("nothing bad", Some(&bad), &["grant"], StatusCode::OK),
        ("panic", Some(&good), &["fail"], StatusCode::SERVICE_UNAVAILABLE),
        ("no name", Some(&good), &["forbid"], StatusCode::FORBIDDEN),
        ("egress", Some(&good), &["unavailable"], StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let mut headers = vec![("x-do", told)];
        headers.extend(authorization.map(|value| ("authorization", value.as_str())));
        let decision = chain.decide(&request(&headers)).await;
        let said: Vec<_> = decision.steps.iter().map(|step| step.verdict.label()).collect();
        assert_eq!(said, verdicts, "{told:?}: {:?}", decision.steps);
        let answered = match decision.outcome {
            Outcome::Grant(_) => StatusCode::OK,
            Outcome::Refuse(refusal) => refusal.into_response().status(),
        };
        assert_eq!(answered, status, "{told:?}");
    }
}

#[tokio::test]
async fn a_disabled_authenticator_fails_where_it_would_be_asked() {
    let grants = Grants {
        headers: vec![HeaderName::from_static("x-key")],
        ..Grants::default()
    };
    let disabled = Authenticator::disabled("off", grants, "it isn't what was ordered");
    let simple = simple(json!({"password": "secret"})).await;
    let (good, bad) = (basic("alice", "secret"), basic("alice", "wrong"));
    let first = Chain::new([disabled.clone(), simple.clone()]);
    let last = Chain::new([simple, disabled]);
    for (chain, authorization, verdicts, status) in [
        (&first, Some(&good), &["fail"][..], StatusCode::SERVICE_UNAVAILABLE),
        (&first, None, &["fail"], StatusCode::SERVICE_UNAVAILABLE),
        (&last, Some(&good), &["grant"], StatusCode::OK),
        (&last, Some(&bad), &["reject"], StatusCode::UNAUTHORIZED),
        (&last, None, &["pass", "fail"], StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let headers: Vec<_> = authorization
            .map(|value| ("authorization", value.as_str()))
            .into_iter()
            .collect();
        let decision = chain.decide(&request(&headers)).await;
        let said: Vec<_> = decision.steps.iter().map(|step| step.verdict.label()).collect();
        assert_eq!(said, verdicts, "{authorization:?}: {:?}", decision.steps);
        let why = decision.steps.last().unwrap().verdict.reason();
        if verdicts.ends_with(&["fail"]) {
            assert_eq!(why, Some("it is disabled: it isn't what was ordered"));
        }
        let answered = match decision.outcome {
            Outcome::Grant(_) => StatusCode::OK,
            Outcome::Refuse(refusal) => refusal.into_response().status(),
        };
        assert_eq!(answered, status, "{authorization:?}");
        assert!(
            chain.has_credentials(&request(&[("x-key", "1")])),
            "what it would have read"
        );
    }
}

#[tokio::test]
async fn when_all_pass_the_client_gets_every_challenge() {
    let chain = Chain::new([
        simple(json!({"realm": "one"})).await,
        simple(json!({"realm": "two"})).await,
    ]);
    let Outcome::Refuse(refusal) = chain.decide(&request(&[])).await.outcome else {
        panic!("a request without credentials was admitted")
    };
    let response = refusal.into_response();
    let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2);
    assert!(
        challenges[0].to_str().unwrap().contains(r#"realm="one""#),
        "{challenges:?}"
    );
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body, json!({"error": "Authentication required"}));
}

#[tokio::test]
async fn an_empty_chain_refuses_every_request() {
    let decision = Chain::new([])
        .decide(&request(&[("authorization", &basic("alice", ""))]))
        .await;
    assert!(matches!(decision.outcome, Outcome::Refuse(_)));
}

#[tokio::test]
async fn a_decision_names_the_attributes_that_were_read() {
    let chain = Chain::new([simple(json!({})).await]);
    let decision = chain.decide(&request(&[("authorization", &basic("alice", ""))])).await;
    let [step] = decision.steps.as_slice() else {
        panic!("{:?}", decision.steps)
    };
    let reads: Vec<_> = step
        .reads
        .iter()
        .map(|read| (&read.attribute, read.granted, read.value.count()))
        .collect();
    assert_eq!(reads, [(&Attribute::Header("authorization".into()), true, 1)]);
    assert!(
        !format!("{decision:?}").contains("YWxpY2U6"),
        "the debug output shows a credential"
    );
}
