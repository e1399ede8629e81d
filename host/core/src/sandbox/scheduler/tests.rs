use futures_util::poll;

use super::*;

fn call(share: &ProcessorShare, computed: Duration) -> ComputePermit {
    let permit = ComputePermit::start(share, Instant::now() + Duration::from_secs(60));
    permit.spent().computed = computed;
    permit
}

fn has_permit(permit: &ComputePermit) -> bool {
    permit.spent().permit.is_some()
}

#[tokio::test]
async fn a_long_call_waits_for_a_permit_and_a_short_one_does_not() {
    let share = FairScheduler::with_permits(1).share();
    let [first, second] = [call(&share, FREE * 2), call(&share, FREE * 2)];
    first.resume().await;
    assert!(has_permit(&first));

    let mut waits = Box::pin(second.resume());
    assert!(poll!(waits.as_mut()).is_pending());
    call(&share, Duration::ZERO).resume().await;

    first.pause();
    waits.await;
    assert!(has_permit(&second) && !has_permit(&first));
}

#[tokio::test]
async fn a_dropped_call_returns_its_permit_and_its_place() {
    let share = FairScheduler::with_permits(1).share();
    let first = call(&share, FREE * 2);
    first.resume().await;
    let gone = call(&share, FREE * 2);
    let mut waits = Box::pin(gone.resume());
    assert!(poll!(waits.as_mut()).is_pending());
    drop(waits);
    drop(first);
    let second = call(&share, FREE * 2);
    second.resume().await;
    assert!(has_permit(&second));
}

#[tokio::test]
async fn a_permit_that_comes_too_late_goes_to_the_next() {
    let share = FairScheduler::with_permits(1).share();
    let [first, late, second] = [0; 3].map(|_| call(&share, FREE * 2));
    first.resume().await;
    let mut waits = Box::pin(late.resume());
    assert!(poll!(waits.as_mut()).is_pending());
    let mut next = Box::pin(second.resume());
    assert!(poll!(next.as_mut()).is_pending());
    first.pause();
    drop(waits);
    next.await;
    assert!(has_permit(&second));
}

#[tokio::test]
async fn a_call_waits_until_its_deadline_at_most() {
    let share = FairScheduler::with_permits(1).share();
    let holds = call(&share, FREE * 2);
    holds.resume().await;
    let permit = ComputePermit::start(&share, Instant::now());
    permit.spent().computed = FREE * 2;
    permit.resume().await;
    assert!(!has_permit(&permit));
}

#[tokio::test]
async fn a_call_keeps_its_permit_until_an_older_one_or_another_authenticator_is_due() {
    let scheduler = FairScheduler::with_permits(1);
    let (share, other) = (scheduler.share(), scheduler.share());
    let older = call(&share, FREE * 2);
    let runs = call(&share, FREE * 2);
    let younger = call(&share, FREE * 2);
    runs.resume().await;
    let mut waits = Box::pin(younger.resume());
    assert!(poll!(waits.as_mut()).is_pending());
    runs.clone().yield_now().await;
    assert!(has_permit(&runs), "a younger call waits");

    let mut first = Box::pin(older.resume());
    assert!(poll!(first.as_mut()).is_pending());
    let mut yields = Box::pin(runs.clone().yield_now());
    assert!(poll!(yields.as_mut()).is_pending());
    first.await;
    assert!(has_permit(&older), "an older call comes first");

    let foreign = call(&other, FREE * 2);
    let mut foreign_waits = Box::pin(foreign.resume());
    assert!(poll!(foreign_waits.as_mut()).is_pending());
    scheduler.queue().charge(share.0.id, Duration::from_secs(1));
    let mut yields_too = Box::pin(older.clone().yield_now());
    assert!(poll!(yields_too.as_mut()).is_pending());
    foreign_waits.await;
    assert!(has_permit(&foreign), "the authenticator that has used less");
}

#[tokio::test]
async fn unusually_long_calls_come_last() {
    let share = FairScheduler::with_permits(1).share();
    let holds = call(&share, FREE * 2);
    holds.resume().await;
    let long = call(&share, LONG * 2);
    let usual = call(&share, FREE * 2);
    let mut long_waits = Box::pin(long.resume());
    assert!(poll!(long_waits.as_mut()).is_pending());
    let mut usual_waits = Box::pin(usual.resume());
    assert!(poll!(usual_waits.as_mut()).is_pending());
    holds.pause();
    usual_waits.await;
    assert!(has_permit(&usual));
}

#[test]
fn who_would_miss_the_deadline_is_not_admitted() {
    const SECOND: Duration = Duration::from_secs(1);
    let scheduler = FairScheduler::with_permits(1);
    let (busy, idle, short) = (scheduler.share(), scheduler.share(), scheduler.share());
    busy.0.cost.learn(SECOND);
    idle.0.cost.learn(SECOND);
    short.0.cost.learn(FREE / 2);

    let deadline = 8 * SECOND;
    let mut admitted = Vec::from_iter((0..8).map_while(|_| busy.admit(deadline).ok()));
    assert_eq!(admitted.len(), 6, "six fit into three quarters of the time");
    assert_eq!(busy.admit(deadline).unwrap_err(), SECOND);
    let others = Vec::from_iter((0..8).map_while(|_| idle.admit(deadline).ok()));
    assert_eq!(others.len(), 3, "of the busy one, as many come before it as of its own");
    assert!(short.admit(FREE).is_ok(), "short calls need no permit");
    drop(others);
    admitted.pop();
    assert!(busy.admit(deadline).is_ok());
}

#[test]
fn the_estimate_follows_the_calls() {
    let cost = Cost::default();
    cost.learn(Duration::from_millis(80));
    assert_eq!(cost.get(), Duration::from_millis(80));
    for _ in 0..50 {
        cost.learn(Duration::from_millis(160));
    }
    assert!(cost.get() > Duration::from_millis(150), "{:?}", cost.get());
}
