//! Instances that are kept for later requests: what these share then, and what they never share.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use std::collections::HashSet;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use http::HeaderName;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Engine;
use portcullis::Grants;
use portcullis::KeepInstances;
use portcullis::Limits;
use portcullis::Outcome;
use portcullis::decision::Step;
use portcullis::decision::Verdict;

use self::common::HOSTILE;
use self::common::hostile_component;
use self::common::request;

const RULES: KeepInstances = KeepInstances {
    keep: 8,
    requests: 1000,
    age: Duration::from_secs(3600),
};

/// Long enough for eight calls that compute at once on a busy machine.
const LONG: Duration = Duration::from_secs(30);

async fn build(component: &Component, rules: Option<KeepInstances>, deadline: Duration) -> Authenticator {
    let builder = Authenticator::builder("hostile", component)
        .grants(Grants {
            headers: vec![HeaderName::from_static("x-do")],
            ..Grants::default()
        })
        .settings(serde_json::json!({ "url": "https://nobody.example/" }))
        .limits(Limits {
            deadline,
            memory: 16 << 20,
            breaker: None,
            reuse_decisions: Duration::ZERO,
            ..Limits::default()
        });
    let builder = match rules {
        Some(rules) => builder.keep_instances(rules),
        None => builder,
    };
    builder.build().await.unwrap()
}

async fn keeping(rules: KeepInstances) -> Authenticator {
    build(&HOSTILE, Some(rules), LONG).await
}

/// Asks about a request with this command. Returns the user, if there is one, and the step.
async fn ask(authenticator: &Authenticator, told: &str) -> (Option<String>, Step) {
    let mut decision = Chain::new([authenticator.clone()])
        .decide(&request(&[("x-do", told)]))
        .await;
    let user = match &decision.outcome {
        Outcome::Grant(user) => Some(user.identity().name().to_owned()),
        _ => None,
    };
    (user, decision.steps.remove(0))
}

/// The instance that answers, and how many requests it has counted.
async fn count_while(authenticator: &Authenticator, told: &str) -> (String, u32) {
    let (user, step) = ask(authenticator, told).await;
    let user = user.unwrap_or_else(|| panic!("{step:?}"));
    let (name, number) = user.split_once(' ').unwrap();
    (name.to_owned(), number.parse().unwrap())
}

async fn count(authenticator: &Authenticator) -> u32 {
    count_while(authenticator, "count").await.1
}

async fn counts(authenticator: &Authenticator, times: usize) -> Vec<u32> {
    let mut counts = Vec::new();
    for _ in 0..times {
        counts.push(count(authenticator).await);
    }
    counts
}

#[tokio::test]
async fn requests_share_memory_only_if_instances_are_kept() {
    assert_eq!(counts(&build(&HOSTILE, None, LONG).await, 3).await, [1, 1, 1]);
    let kept = keeping(RULES).await;
    assert_eq!(counts(&kept, 3).await, [1, 2, 3]);
    assert_eq!(ask(&kept, "count").await.1.served, 3);
    assert_eq!(
        count(&keeping(RULES).await).await,
        1,
        "another authenticator has its own"
    );
}

#[tokio::test]
async fn an_instance_that_failed_or_cant_be_used_again_is_dropped() {
    for (told, is_answered) in [
        ("panic", false),
        ("recurse", false),
        ("eat memory", false),
        ("many groups", false),
        ("ask for too much memory", true),
        ("leak", true),
        ("read stdin", true),
    ] {
        let kept = keeping(RULES).await;
        assert_eq!(counts(&kept, 2).await, [1, 2]);
        let (user, step) = ask(&kept, told).await;
        assert_eq!(user.is_some(), is_answered, "{told}: {step:?}");
        assert_eq!(step.served, 2, "{told}");
        assert_eq!(counts(&kept, 2).await, [1, 2], "after {told}");
    }
    for told in [
        "nothing bad",
        "whisper",
        "say a lot",
        "begin a line",
        "line break in the name",
        "no name",
    ] {
        let kept = keeping(RULES).await;
        count(&kept).await;
        ask(&kept, told).await;
        assert_eq!(count(&kept).await, 2, "after {told}");
    }
}

#[tokio::test]
async fn an_instance_serves_as_many_requests_as_it_may() {
    let kept = keeping(KeepInstances { requests: 3, ..RULES }).await;
    assert_eq!(counts(&kept, 7).await, [1, 2, 3, 1, 2, 3, 1]);
}

#[tokio::test]
async fn an_instance_that_is_too_old_is_dropped() {
    let age = Duration::from_millis(100);
    // A quick machine serves a thousand requests in less than that.
    let requests = u32::MAX;
    let kept = keeping(KeepInstances { age, requests, ..RULES }).await;
    let start = Instant::now();
    let first = count_while(&kept, "count").await;
    while count_while(&kept, "count").await.0 == first.0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it is used for ever");
    }
    assert!(start.elapsed() >= age);
}

#[tokio::test]
async fn no_more_idle_instances_are_kept_than_may_be() {
    let kept = keeping(KeepInstances { keep: 2, ..RULES }).await;
    let all_at_once = |count: usize| join_all((0..count).map(|_| count_while(&kept, "count, compute 30")));
    let first = all_at_once(4).await;
    let instances = HashSet::<_>::from_iter(first.iter().map(|(name, _)| name));
    assert_eq!(instances.len(), 4, "one instance serves one call at a time: {first:?}");
    let second = all_at_once(4).await;
    let reused = second.iter().filter(|(_, number)| *number == 2);
    assert_eq!(reused.count(), 2, "{second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_instance_serves_two_calls_at_once() {
    let kept = keeping(RULES).await;
    let calls = (0..200).map(|_| {
        let kept = kept.clone();
        tokio::spawn(async move { count_while(&kept, "count").await })
    });
    let seen = Vec::from_iter(join_all(calls).await.into_iter().map(Result::unwrap));
    let distinct = HashSet::<_>::from_iter(&seen);
    assert_eq!(
        distinct.len(),
        seen.len(),
        "each instance counts every request once: {seen:?}"
    );
}

#[tokio::test]
async fn what_a_replaced_authenticator_knows_is_dropped() {
    let kept = keeping(RULES).await;
    assert_eq!(counts(&kept, 2).await, [1, 2]);
    kept.forget_decisions();
    assert_eq!(counts(&kept, 2).await, [1, 2], "it keeps new ones");
    kept.retire();
    assert_eq!(counts(&kept, 2).await, [1, 1], "it keeps none any more");
}

#[tokio::test]
async fn what_belongs_to_a_request_begins_anew() {
    let kept = keeping(RULES).await;
    for number in 0..70 {
        let (_, step) = ask(&kept, "egress").await;
        assert_eq!(
            (step.served, step.denied),
            (number, 1),
            "64 requests to servers for each call"
        );
        assert_eq!((step.reads.len(), step.warnings.len()), (1, 1), "{step:?}");
    }
    for _ in 0..2 {
        let (_, step) = ask(&kept, "say a lot").await;
        assert_eq!(step.warnings.len(), 16, "of 32 lines, half are on stderr");
    }
}

#[tokio::test]
async fn each_call_has_the_whole_time() {
    let deadline = Duration::from_secs(1);
    let kept = build(&HOSTILE, Some(RULES), deadline).await;
    count(&kept).await;
    tokio::time::sleep(deadline).await;
    let (user, step) = ask(&kept, "count, compute 30").await;
    assert!(user.is_some() && step.served == 1, "{step:?}");
    let (_, step) = ask(&kept, "loop").await;
    assert!(
        matches!(&step.verdict, Verdict::Fail(why) if why.contains("deadline")),
        "{step:?}"
    );
    assert!(step.served == 2 && step.elapsed >= deadline, "{step:?}");
    assert_eq!(count(&kept).await, 1, "it was dropped");
}

#[tokio::test]
async fn idle_instances_leave_memory_and_places_to_others() {
    let engine = |builder: portcullis::EngineBuilder| Component::new(&builder.build().unwrap(), hostile_component());
    let small = engine(Engine::builder().memory(2 << 20)).unwrap();
    let kept = build(&small, Some(RULES), LONG).await;
    let all_at_once = || join_all((0..8).map(|_| ask(&kept, "count, compute 30")));
    let memory = all_at_once().await[0].1.memory;
    let reused = all_at_once().await.iter().filter(|(_, step)| step.served > 0).count();
    assert_eq!(
        reused,
        ((512 << 10) / memory).min(8),
        "a quarter of 2 MiB is for instances of {memory} bytes"
    );
    assert!(reused < 8, "the test needs larger instances");
    let few = engine(Engine::builder().concurrency(8)).unwrap();
    let kept = build(&few, Some(RULES), LONG).await;
    for _ in 0..3 {
        let steps = join_all((0..8).map(|_| ask(&kept, "count, compute 30"))).await;
        let failed = steps.iter().filter(|(user, _)| user.is_none());
        assert_eq!(
            failed.count(),
            0,
            "a kept instance takes the place of no call: {steps:?}"
        );
    }
    let steps = join_all((0..8).map(|_| ask(&kept, "count, compute 30"))).await;
    assert_eq!(
        steps.iter().filter(|(_, step)| step.served > 0).count(),
        2,
        "a quarter of 8"
    );
}
