//! A plugin that misbehaves affects the request of its call only. Other requests are served at the same time.

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

use portcullis::Chain;
use portcullis::Decision;
use portcullis::Limits;
use portcullis::Outcome;
use portcullis::Refusal;
use portcullis::decision::Verdict;

use self::common::hostile;
use self::common::request;

/// What the guest does, and a part of the error that the operator gets.
const MISDEEDS: &[(&str, &str)] = &[
    ("panic", "it panicked or aborted; it said: thread '<unnamed>'"),
    ("loop", "deadline"),
    // The stack is at the start of the memory, so that an overflow is out of bounds.
    ("recurse", "stack has probably overflowed"),
    ("eat memory", "limits.memory); it said: memory allocation of"),
    ("huge attribute", ""),
    ("many groups", "exceeds 1 MiB"),
    ("line break in a header", "control character"),
    ("bad header name", "impossible name"),
    ("framing header", "content-length"),
    ("many headers", "32 headers"),
    ("line break in a challenge", "challenge"),
    ("informational status", "status"),
    ("impossible status", "status"),
    ("huge body", ""),
];

/// What an identity provider may say of a user, and a part of the reason for the denial.
const ODD_USERS: &[(&str, &str)] = &[
    ("no name", "the user name is empty"),
    ("long name", "the user name has"),
    ("line break in the name", "the user name has a control character"),
    ("line break in a group", "the group name has a control character"),
    (
        "five thousand groups",
        "the user has 5000 groups, and at most 4096 are accepted",
    ),
    ("many attributes", "attributes, and at most 64 are accepted"),
    ("long attribute", "the attribute value has"),
];

fn limits() -> Limits {
    Limits {
        deadline: Duration::from_millis(500),
        memory: 16 << 20,
        // One client makes every call of these tests.
        breaker: None,
        ..Limits::default()
    }
}

fn failure(decision: &Decision) -> Option<&str> {
    match (&decision.outcome, decision.steps.as_slice()) {
        (Outcome::Refuse(Refusal::Unavailable { .. }), [step]) => match &step.verdict {
            Verdict::Fail(why) => Some(why),
            _ => None,
        },
        _ => None,
    }
}

fn attributes(decision: &Decision) -> Vec<String> {
    let reads = decision.steps.iter().flat_map(|step| step.reads.iter());
    reads.map(|read| read.attribute.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_plugin_does_is_a_503_for_its_request_alone() {
    let chain = Chain::new([hostile(limits()).await]);
    for (told, why) in MISDEEDS {
        let good = request(&[("x-do", "nothing bad")]);
        let bad = request(&[("x-do", told)]);
        let (bad, good) = tokio::join!(chain.decide(&bad), chain.decide(&good));
        let failed = failure(&bad).unwrap_or_else(|| panic!("{told}: {bad:?}"));
        assert!(failed.contains(why), "{told}: {failed}");
        assert_eq!(
            attributes(&bad),
            ["header x-do"],
            "{told}: the attributes that it read before it failed are known"
        );
        assert!(matches!(good.outcome, Outcome::Grant(_)), "beside {told}: {good:?}");
    }
}

/// Row B1 of the field reports: the user may be denied, but it doesn't count for the circuit breaker.
#[tokio::test]
async fn a_user_whose_identity_cant_be_accepted_is_denied_alone() {
    let authenticator = hostile(Limits {
        breaker: Limits::default().breaker,
        ..limits()
    })
    .await;
    let chain = Chain::new([authenticator]);
    // The breaker counts failures of clients whose address is known only.
    let request = |told: &str| {
        let mut request = request(&[("x-do", told)]);
        Arc::make_mut(&mut request).client_address = Some([192, 0, 2, 1].into());
        request
    };
    for (told, why) in [
        ("many groups", "exceeds 1 MiB"),
        ("line break in a header", "control character"),
        ("many headers", "more than 32 headers"),
        ("line break in a challenge", "a challenge"),
    ] {
        for _ in 0..10 {
            let odd = chain.decide(&request(told)).await;
            assert!(failure(&odd).is_some_and(|said| said.contains(why)), "{told}: {odd:?}");
        }
    }
    for (told, why) in ODD_USERS.iter().cycle().take(70) {
        let odd = chain.decide(&request(told)).await;
        assert!(
            matches!(odd.outcome, Outcome::Refuse(Refusal::Forbid { challenge: None })),
            "{told}: {odd:?}"
        );
        let [step] = &odd.steps[..] else {
            panic!("{told}: {odd:?}")
        };
        assert!(
            matches!(&step.verdict, Verdict::Forbid(said) if said.contains(why)),
            "{told}: {odd:?}"
        );
    }
    let good = chain.decide(&request("nothing bad")).await;
    assert!(matches!(good.outcome, Outcome::Grant(_)), "{good:?}");
}

#[tokio::test]
async fn the_log_of_a_plugin_is_bounded_and_its_answer_counts() {
    let chain = Chain::new([hostile(limits()).await]);
    let decision = chain.decide(&request(&[("x-do", "talk")])).await;
    assert!(
        matches!(decision.outcome, Outcome::Grant(_)) || failure(&decision).is_some(),
        "{decision:?}"
    );
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once() {
    let chain = Chain::new([hostile(Limits {
        concurrency: 1,
        ..limits()
    })
    .await]);
    let spin = request(&[("x-do", "loop")]);
    let mut first = Box::pin(chain.decide(&spin));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let second = chain.decide(&request(&[("x-do", "nothing bad")])).await;
    assert!(
        matches!(
            second.outcome,
            Outcome::Refuse(Refusal::Unavailable {
                retry_after: Some(_),
                ..
            })
        ),
        "{second:?}"
    );
    assert!(failure(&first.await).is_some());
    let third = chain.decide(&request(&[("x-do", "nothing bad")])).await;
    assert!(matches!(third.outcome, Outcome::Grant(_)), "{third:?}");
}

#[tokio::test]
async fn a_call_whose_client_left_gives_its_place_back() {
    let authenticator = hostile(Limits {
        concurrency: 1,
        ..limits()
    })
    .await;
    let chain = Chain::new([authenticator]);
    let spin = request(&[("x-do", "loop")]);
    let mut left = Box::pin(chain.decide(&spin));
    assert!(futures_util::poll!(left.as_mut()).is_pending());
    drop(left);
    let good = request(&[("x-do", "nothing bad")]);
    let again = async {
        while !matches!(chain.decide(&Arc::clone(&good)).await.outcome, Outcome::Grant(_)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .expect("the permit was never returned");
}
