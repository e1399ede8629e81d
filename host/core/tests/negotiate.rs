//! Negotiate tokens: which acceptor gets them, what the plugin gets, and what the decision records. The plugin
//! `kerberos` passes them on.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use portcullis::AuthRequest;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Decision;
use portcullis::Grants;
use portcullis::Limits;
use portcullis::NegotiateError;
use portcullis::NegotiateFuture;
use portcullis::NegotiateToken;
use portcullis::Negotiated;
use portcullis::Negotiator;
use portcullis::Outcome;
use portcullis::Refusal;
use portcullis::decision::Attribute;
use portcullis::decision::Verdict;
use serde_json::json;

use self::common::built_in;
use self::common::request;

/// Accepts each token as proof of the name in it, and records the channel bindings.
#[derive(Debug, Default)]
struct Trusting {
    bindings: Mutex<Vec<Option<Bytes>>>,
}

impl Negotiator for Trusting {
    fn accept(&self, token: NegotiateToken) -> NegotiateFuture<'_> {
        assert!(
            !format!("{token:?}").contains("alice"),
            "the debug output shows a token"
        );
        Box::pin(async move {
            self.bindings.lock().unwrap().push(token.channel_binding);
            match token.bytes.as_slice() {
                b"hang" => std::future::pending().await,
                b"bad" => Err(NegotiateError::Reject("bad\r\n".to_owned())),
                b"legs" => Err(NegotiateError::NeedsAnotherLeg),
                b"down" => Err(NegotiateError::Unavailable("down".to_owned())),
                name => Ok(Negotiated {
                    principal: format!("{}@R", String::from_utf8_lossy(name)),
                    reply: Some(b"reply".to_vec()),
                    expires_in: 60,
                    channel_bound: false,
                }),
            }
        })
    }
}

async fn kerberos(granted: Option<&str>, negotiator: Option<Arc<dyn Negotiator>>) -> Chain {
    let builder = Authenticator::builder("kerberos", &built_in("kerberos"))
        .settings(json!({ "acceptor": "http", "realms": ["R"], "strip_realm": "R" }))
        .limits(Limits {
            deadline: Duration::from_millis(500),
            ..Limits::default()
        })
        .grants(Grants {
            negotiate: granted.map(str::to_owned),
            ..Grants::default()
        });
    let builder = match negotiator {
        Some(negotiator) => builder.negotiator(negotiator),
        None => builder,
    };
    Chain::new([builder.build().await.unwrap()])
}

fn token(token: &str) -> Arc<AuthRequest> {
    use base64::Engine as _;
    let encoded = base64::prelude::BASE64_STANDARD.encode(token);
    request(&[("authorization", &format!("Negotiate {encoded}"))])
}

/// Whether the acceptor was granted, and the result that is recorded.
fn recorded(decision: &Decision) -> Option<(bool, String)> {
    let reads = decision.steps[0].reads.iter();
    let mut reads = reads.filter(|read| read.attribute == Attribute::Negotiate("http".to_owned()));
    let read = reads.next()?;
    assert!(
        !read.attribute.is_repeatable(),
        "a token says nothing about other requests"
    );
    Some((read.granted, String::from_utf8(read.value.values().concat()).unwrap()))
}

#[tokio::test]
async fn the_granted_acceptor_is_called_and_its_result_is_recorded() {
    let chain = kerberos(Some("http"), Some(Arc::new(Trusting::default()))).await;
    for (told, word, unavailable) in [
        ("bad", "rejected", false),
        ("legs", "needs-another-leg", false),
        ("down", "unavailable", true),
    ] {
        let decision = chain.decide(&token(told)).await;
        let Outcome::Refuse(refusal) = &decision.outcome else {
            panic!("{decision:?}")
        };
        assert_eq!(
            matches!(refusal, Refusal::Unavailable { .. }),
            unavailable,
            "{decision:?}"
        );
        assert_eq!(recorded(&decision), Some((true, word.to_owned())));
    }
    let decision = chain.decide(&token("alice")).await;
    assert_eq!(recorded(&decision), Some((true, "accepted".to_owned())));
    let Outcome::Grant(alice) = decision.outcome else {
        panic!("{decision:?}")
    };
    assert_eq!(alice.identity().name(), "alice");
    assert_eq!(alice.valid_for(), Some(Duration::from_secs(60)));
    assert_eq!(alice.response_headers()["www-authenticate"], "Negotiate cmVwbHk=");
}

#[tokio::test]
async fn without_a_grant_no_acceptor_is_called() {
    for granted in [None, Some("other")] {
        let trusting = Arc::new(Trusting::default());
        let chain = kerberos(granted, Some(Arc::clone(&trusting) as _)).await;
        let decision = chain.decide(&token("alice")).await;
        assert!(
            matches!(decision.outcome, Outcome::Refuse(Refusal::Unavailable { .. })),
            "{decision:?}"
        );
        assert_eq!(recorded(&decision), Some((false, "denied".to_owned())));
        assert!(trusting.bindings.lock().unwrap().is_empty());
    }
    let decision = kerberos(Some("http"), None).await.decide(&token("alice")).await;
    assert_eq!(recorded(&decision), Some((true, "unavailable".to_owned())));
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_if_the_acceptor_hangs() {
    let chain = kerberos(Some("http"), Some(Arc::new(Trusting::default()))).await;
    let decision = chain.decide(&token("hang")).await;
    assert!(
        matches!(&decision.steps[0].verdict, Verdict::Fail(why) if why.contains("deadline")),
        "{decision:?}"
    );
    let decision = chain.decide(&token("alice")).await;
    assert!(matches!(decision.outcome, Outcome::Grant(_)), "{decision:?}");
}

#[tokio::test]
async fn the_channel_binding_of_the_connection_goes_with_the_token() {
    let trusting = Arc::new(Trusting::default());
    let chain = kerberos(Some("http"), Some(Arc::clone(&trusting) as _)).await;
    let binding = Bytes::from_static(b"tls-server-end-point:hash");
    let mut over_tls = Arc::unwrap_or_clone(token("alice"));
    over_tls.channel_binding = Some(binding.clone());
    chain.decide(&Arc::new(over_tls)).await;
    chain.decide(&token("alice")).await;
    assert_eq!(*trusting.bindings.lock().unwrap(), [Some(binding), None]);
}
