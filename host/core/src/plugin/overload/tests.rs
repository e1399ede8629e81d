use std::net::Ipv4Addr;
use std::num::NonZero;

use super::*;
use crate::sandbox::FairScheduler;

const FAILURES: u32 = 3;

/// The limits of one plugin on an engine that runs this many calls.
fn overload(limits: Limits, engine_calls: &Arc<Semaphore>) -> Arc<Overload> {
    let name = PluginName::from("a");
    let (share, meters) = (FairScheduler::new().share(), Meters::new(&name));
    Arc::new(Overload::new(
        &name,
        &Grants::default(),
        &limits,
        &share,
        engine_calls,
        &meters,
    ))
}

fn alone(limits: Limits) -> Arc<Overload> {
    overload(limits, &Arc::new(Semaphore::new(8)))
}

fn address(last: u8) -> Option<IpAddr> {
    Some(Ipv4Addr::new(192, 0, 2, last).into())
}

/// Somebody with an address and credentials of their own.
fn client(last: u8) -> Sender {
    Sender::at(address(last)).with_credentials(last.into())
}

const FAILED: Ended = Ended::Failed(Fault::Request);

/// Why a call would be refused now.
fn refused(overload: &Arc<Overload>, client: Sender) -> Option<TurnedAway> {
    match overload.enter(client) {
        Ok(call) => {
            call.ended(Ended::Answered);
            None
        }
        Err(why) => Some(why),
    }
}

#[test]
fn one_call_too_many_is_refused_until_another_ends() {
    let overload = alone(Limits {
        concurrency: 2,
        ..Limits::default()
    });
    for _ in 0..3 {
        let calls = [1, 2].map(|last| overload.enter(client(last)).unwrap());
        assert_eq!(refused(&overload, client(3)), Some(TurnedAway::Busy));
        let [first, second] = calls;
        first.ended(Ended::Answered);
        assert_eq!(refused(&overload, client(3)), None);
        second.ended(FAILED);
    }
}

#[test]
fn an_authenticator_keeps_one_place_of_the_engine_until_it_retires() {
    let engine_calls = Arc::new(Semaphore::new(3));
    let [first, second] = [(); 2].map(|()| overload(Limits::default(), &engine_calls));
    // The third place goes to the call that comes first.
    let calls = [1, 2].map(|last| first.enter(client(last)).unwrap());
    assert_eq!(refused(&first, client(3)), Some(TurnedAway::EngineBusy));
    let own = second.enter(client(4)).unwrap();
    assert_eq!(refused(&second, client(4)), Some(TurnedAway::EngineBusy));
    drop(own);
    calls.into_iter().for_each(|call| call.ended(Ended::Answered));

    // The first has its own place again, and the second can't take it.
    let calls = [1, 2].map(|last| second.enter(client(last)).unwrap());
    assert_eq!(refused(&second, client(3)), Some(TurnedAway::EngineBusy));
    assert_eq!(refused(&first, client(3)), None);

    let third = overload(Limits::default(), &engine_calls);
    assert_eq!(refused(&third, client(5)), Some(TurnedAway::EngineBusy));
    first.retire();
    assert_eq!(refused(&third, client(5)), None);
    // The third keeps that place now.
    assert_eq!(refused(&first, client(3)), Some(TurnedAway::EngineBusy));
    assert_eq!(refused(&third, client(5)), None);
    drop(calls);
    assert_eq!(refused(&first, client(3)), None);
}

/// How a call ends.
type End = fn(CallPermit);

#[test]
fn a_call_without_a_report_counts_as_failed() {
    let overload = alone(Limits {
        breaker: NonZero::new(FAILURES),
        ..Limits::default()
    });
    let ends: [(&str, End, bool); 4] = [
        ("answered", |call| call.ended(Ended::Answered), true),
        ("failed", |call| call.ended(FAILED), false),
        ("dropped before the plugin was asked", drop, true),
        (
            "dropped",
            |mut call| {
                call.begins();
                drop(call);
            },
            false,
        ),
    ];
    for (last, (how, end, is_served)) in (1..).zip(ends) {
        for _ in 0..FAILURES {
            end(overload.enter(client(last)).unwrap());
        }
        match refused(&overload, client(last)) {
            None => assert!(is_served, "{how}"),
            Some(TurnedAway::Breaker(wait)) => assert!(!is_served && wait <= Duration::from_secs(1), "{how}: {wait:?}"),
            other => panic!("{how}: {other:?}"),
        }
    }
}

#[test]
fn a_client_that_keeps_failing_with_several_credentials_has_few_places() {
    let overload = alone(Limits {
        breaker: NonZero::new(FAILURES),
        concurrency: 3,
        ..Limits::default()
    });
    for credentials in 0..10 {
        let mallory = client(1).with_credentials(1000 + credentials);
        overload.enter(mallory).unwrap().ended(FAILED);
    }
    let running = overload.enter(client(1).with_credentials(1)).unwrap();
    assert_eq!(
        refused(&overload, client(1).with_credentials(2)),
        Some(TurnedAway::Failing)
    );
    drop(running);
    assert_eq!(refused(&overload, client(1).with_credentials(2)), None);
}

#[test]
fn a_success_is_reported_to_the_breaker() {
    let overload = alone(Limits {
        breaker: NonZero::new(FAILURES),
        ..Limits::default()
    });
    for _ in 0..FAILURES {
        for _ in 1..FAILURES {
            overload.enter(client(1)).unwrap().ended(FAILED);
        }
        overload.enter(client(1)).unwrap().ended(Ended::Answered);
    }
}

#[test]
fn failures_of_clients_without_a_known_address_stop_nobody() {
    let overload = alone(Limits {
        breaker: NonZero::new(FAILURES),
        ..Limits::default()
    });
    for _ in 0..2 * FAILURES {
        overload.enter(Sender::at(None)).unwrap().ended(FAILED);
    }
    assert_eq!(refused(&overload, Sender::at(None)), None);
    assert_eq!(refused(&overload, client(1)), None);
}

#[test]
fn a_request_beyond_the_rate_is_refused_with_the_time_to_wait() {
    let limit: Rate = "2/h".parse().unwrap();
    let overload = alone(Limits {
        rate: Some(limit),
        ..Limits::default()
    });
    for client in [address(1), address(2), None] {
        for _ in 0..2 {
            assert_eq!(overload.count(client), Ok(()));
        }
        let Err(why @ TurnedAway::Rate { limit: named, .. }) = overload.count(client) else {
            panic!("{client:?} is above its rate")
        };
        assert_eq!(named, limit);
        assert!((1000..=1800).contains(&why.retry_after().as_secs()), "{why:?}");
    }
    let unlimited = alone(Limits::default());
    assert!((0..100).all(|_| unlimited.count(address(1)).is_ok()));
}

#[test]
fn nobody_who_is_turned_away_is_told_to_come_back_at_once() {
    let seconds = Duration::from_secs;
    for (why, wait) in [
        (TurnedAway::Busy, seconds(1)),
        (TurnedAway::EngineBusy, seconds(1)),
        (TurnedAway::Failing, seconds(1)),
        (
            TurnedAway::Processors {
                late: Duration::from_millis(1),
            },
            seconds(1),
        ),
        (TurnedAway::Processors { late: seconds(3) }, seconds(3)),
        (TurnedAway::Breaker(seconds(4)), seconds(4)),
    ] {
        assert_eq!(why.retry_after(), wait, "{why}");
    }
}
