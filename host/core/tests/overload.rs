//! Clients that send too many requests, or requests that make a plugin fail, are refused. All other clients are served.

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

use http::HeaderName;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Decision;
use portcullis::Engine;
use portcullis::Grants;
use portcullis::Limits;
use portcullis::Outcome;
use portcullis::Refusal;
use portcullis::decision::Verdict;

use self::common::hostile;
use self::common::hostile_component;
use self::common::request;

async fn chain(limits: Limits) -> Chain {
    let deadline = Duration::from_millis(500);
    Chain::new([hostile(Limits { deadline, ..limits }).await])
}

/// The decision about a request of this client that makes the guest do something. Its credentials are its own: what the guest
/// is told and a token.
async fn tell(chain: &Chain, client: &str, told: &str) -> Decision {
    tell_with(chain, client, client, told).await
}

async fn tell_with(chain: &Chain, client: &str, token: &str, told: &str) -> Decision {
    let mut request = request(&[("x-do", told), ("authorization", token)]);
    Arc::make_mut(&mut request).client_address = Some(client.parse().unwrap());
    chain.decide(&request).await
}

#[tokio::test]
async fn a_client_without_a_known_address_stops_nobody_else() {
    let chain = chain(Limits::default()).await;
    for number in 0..10 {
        let decision = chain.decide(&request(&[("x-do", "panic")])).await;
        // Its credentials are stopped as those of others are.
        assert_eq!(was_turned_away(&decision), number >= 5, "{decision:?}");
    }
    assert!(is_served(&chain, "192.0.2.1").await);
    let decision = chain.decide(&request(&[("x-do", "nothing bad")])).await;
    assert!(matches!(decision.outcome, Outcome::Grant(_)), "{decision:?}");
}

async fn is_served(chain: &Chain, client: &str) -> bool {
    matches!(tell(chain, client, "nothing bad").await.outcome, Outcome::Grant(_))
}

fn was_turned_away(decision: &Decision) -> bool {
    matches!(&decision.steps[..], [step] if matches!(step.verdict, Verdict::TurnedAway(_)) && step.reads.is_empty())
}

#[tokio::test]
async fn each_client_has_its_own_rate_limit() {
    let chain = chain(Limits {
        rate: Some("3/h".parse().unwrap()),
        ..Limits::default()
    })
    .await;
    for (client, served) in [
        ("192.0.2.1", true),
        ("192.0.2.1", true),
        ("192.0.2.1", true),
        ("192.0.2.1", false),
        ("::ffff:192.0.2.1", false),
        ("192.0.2.2", true),
        ("2001:db8::1", true),
        ("2001:db8::2", true),
        ("2001:db8::ffff", true),
        ("2001:db8:0:0:8000::1", false),
        ("2001:db8:0:1::1", true),
    ] {
        assert_eq!(is_served(&chain, client).await, served, "{client}");
    }
    let decision = tell(&chain, "192.0.2.1", "nothing bad").await;
    assert!(was_turned_away(&decision), "{decision:?}");
    match decision.outcome {
        Outcome::Refuse(Refusal::TooManyRequests { retry_after }) => {
            assert!((600..=1200).contains(&retry_after.as_secs()), "{retry_after:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn credentials_that_make_a_plugin_fail_are_stopped_alone() {
    let chain = chain(Limits::default()).await;
    for _ in 0..5 {
        let decision = tell(&chain, "192.0.2.1", "panic").await;
        assert!(matches!(decision.steps[0].verdict, Verdict::Fail(_)), "{decision:?}");
    }
    let decision = tell(&chain, "192.0.2.1", "panic").await;
    assert!(was_turned_away(&decision), "{decision:?}");
    assert!(
        matches!(
            decision.outcome,
            Outcome::Refuse(Refusal::Unavailable { retry_after: Some(wait), .. }) if wait <= Duration::from_secs(1)
        ),
        "{decision:?}"
    );
    assert!(is_served(&chain, "192.0.2.1").await, "others at that address");
    assert!(is_served(&chain, "192.0.2.2").await);
}

#[tokio::test]
async fn one_person_with_several_addresses_or_ever_new_tokens_stops_nobody_else() {
    let chain = chain(Limits::default()).await;
    for number in 0..40 {
        tell_with(&chain, &format!("192.0.2.{number}"), "the same", "panic").await;
        tell_with(&chain, "192.0.2.100", &number.to_string(), "panic").await;
    }
    for client in ["192.0.2.1", "192.0.2.100", "192.0.2.200"] {
        assert!(is_served(&chain, client).await, "{client}");
    }
}

#[tokio::test]
async fn after_failures_of_several_those_who_failed_wait_until_somebody_is_served() {
    let chain = chain(Limits::default()).await;
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        for _ in 0..5 {
            tell(&chain, client, "panic").await;
        }
    }
    let decision = tell(&chain, "192.0.2.1", "nothing bad").await;
    assert!(was_turned_away(&decision), "{decision:?}");
    assert!(is_served(&chain, "192.0.2.9").await);
    assert!(is_served(&chain, "192.0.2.1").await);
}

/// An engine on which one call runs at a time, and authenticators on it that do what `X-Do` says.
struct Narrow(Component);

impl Narrow {
    fn new() -> Self {
        let engine = Engine::builder().concurrency(1).build().unwrap();
        Self(Component::new(&engine, hostile_component()).unwrap())
    }

    async fn authenticator(&self) -> Authenticator {
        let grants = Grants {
            headers: vec![HeaderName::from_static("x-do")],
            ..Grants::default()
        };
        let limits = Limits {
            deadline: Duration::from_secs(60),
            ..Limits::default()
        };
        let builder = Authenticator::builder("hostile", &self.0);
        builder.grants(grants).limits(limits).build().await.unwrap()
    }
}

#[tokio::test]
async fn an_authenticator_that_replaces_another_gets_the_place_that_was_kept_for_it() {
    let narrow = Narrow::new();
    let old = narrow.authenticator().await;
    let new = Chain::new([narrow.authenticator().await]);
    assert!(was_turned_away(&tell(&new, "192.0.2.1", "nothing bad").await));
    old.retire();
    assert!(is_served(&new, "192.0.2.1").await);
    // It keeps the place now, so that the old one has none.
    assert!(was_turned_away(
        &tell(&Chain::new([old]), "192.0.2.1", "nothing bad").await
    ));
    assert!(is_served(&new, "192.0.2.1").await);
}

#[tokio::test]
async fn a_plugin_is_configured_while_all_places_for_calls_are_taken() {
    let narrow = Narrow::new();
    let busy = Chain::new([narrow.authenticator().await]);
    let mut call = std::pin::pin!(tell(&busy, "192.0.2.1", "loop"));
    let begun = tokio::time::timeout(Duration::ZERO, &mut call).await;
    assert!(begun.is_err() && was_turned_away(&tell(&busy, "192.0.2.2", "nothing bad").await));
    for _ in 0..3 {
        narrow.authenticator().await;
    }
}
