use super::*;

const THRESHOLD: u32 = 3;

/// So that a suspect client has two places.
const CONCURRENCY: usize = 16;

const FAILED: Ended = Ended::Failed(Fault::Request);

fn breaker() -> Breaker {
    with_threshold(THRESHOLD)
}

fn with_threshold(failures: u32) -> Breaker {
    let name = PluginName::from("a");
    let meters = Meters::new(&name);
    Breaker::new(name, NonZero::new(failures).unwrap(), CONCURRENCY, &meters)
}

/// A sender at the address that ends with this number.
fn at(last: u8) -> Sender {
    Sender::at(Some([192, 0, 2, last].into()))
}

/// Somebody with an address and credentials of their own.
fn user(number: u8) -> Sender {
    at(number).with_credentials(number.into())
}

/// Makes a call, and returns whether it was admitted.
fn call(breaker: &Breaker, sender: Sender, ended: Ended, now: Instant) -> bool {
    let admitted = breaker.enter(sender, now);
    admitted.is_ok_and(|trial| {
        breaker.settle(&trial, ended, now);
        true
    })
}

fn answered(breaker: &Breaker, sender: Sender, now: Instant) -> bool {
    call(breaker, sender, Ended::Answered, now)
}

/// Whether a call of this sender needs a place among the few of its client.
fn shares(breaker: &Breaker, sender: Sender, now: Instant) -> bool {
    let trial = breaker.enter(sender, now).unwrap();
    breaker.settle(&trial, Ended::Undecided, now);
    trial.place.is_some()
}

/// Lets calls of a sender fail until its credentials are stopped.
fn stop(breaker: &Breaker, sender: Sender, now: Instant) {
    for _ in 0..THRESHOLD {
        assert!(call(breaker, sender, FAILED, now));
    }
    assert!(!answered(breaker, sender, now), "{sender:?} is stopped");
}

/// Opens the breaker for all.
fn open_for_all(breaker: &Breaker, now: Instant) {
    open_by(breaker, [1, 2, 3], now);
}

fn open_by(breaker: &Breaker, users: [u8; 3], now: Instant) {
    for number in users {
        stop(breaker, user(number), now);
    }
    assert!(is_open_for_all(breaker, now));
}

/// Whether few calls of strangers may run at once.
fn is_open_for_all(breaker: &Breaker, now: Instant) -> bool {
    let strangers = [200, 201, 202].map(|number| breaker.enter(user(number), now));
    let is_open = matches!(strangers, [Ok(_), Ok(_), Err(Stopped::Few)]);
    assert!(is_open || strangers.iter().all(Result::is_ok), "{strangers:?}");
    for stranger in strangers.into_iter().flatten() {
        breaker.settle(&stranger, Ended::Undecided, now);
    }
    is_open
}

#[test]
fn credentials_whose_calls_fail_are_stopped_alone() {
    let (breaker, now) = (breaker(), Instant::now());
    stop(&breaker, user(1), now);
    let same_credentials = Sender {
        client: user(2).client,
        ..user(1)
    };
    assert!(!answered(&breaker, same_credentials, now), "elsewhere");
    assert!(!shares(&breaker, at(1), now), "its client isn't suspect");
    assert!(answered(&breaker, at(1), now), "another sender at that address");
    assert!(answered(&breaker, at(1).with_credentials(9), now));
    let later = now + Duration::from_secs(2);
    assert!(answered(&breaker, user(1), later), "a successful trial");
    assert!(call(&breaker, user(1), FAILED, later), "closes its circuit");
    assert!(answered(&breaker, user(1), later));
}

#[test]
fn a_success_in_between_resets_the_count() {
    let (breaker, now) = (breaker(), Instant::now());
    for sender in [user(1), at(2)] {
        for ended in [FAILED, FAILED, Ended::Answered].repeat(3) {
            assert!(call(&breaker, sender, ended, now));
        }
        assert!(!shares(&breaker, sender, now));
    }
}

#[test]
fn what_says_nothing_about_the_plugin_is_not_counted() {
    let (breaker, now) = (breaker(), Instant::now());
    for _ in 0..2 * THRESHOLD {
        assert!(call(&breaker, user(1), Ended::Undecided, now));
    }
    stop(&breaker, user(1), now);
    let later = now + Duration::from_secs(2);
    assert!(
        call(&breaker, user(1), Ended::Undecided, later),
        "a trial that tells nothing"
    );
    assert!(answered(&breaker, user(1), later), "is made again");

    open_for_all(&breaker, later);
    let latest = later + Duration::from_secs(2);
    assert!(call(&breaker, at(1), Ended::Undecided, latest), "the trial for all");
    assert!(answered(&breaker, at(1), latest));
}

#[test]
fn a_client_that_fails_with_ever_new_credentials_has_few_places_for_those_who_are_not_known() {
    for credentials in [true, false] {
        let (breaker, now) = (breaker(), Instant::now());
        let mallory = |number: u64| match credentials {
            true => at(1).with_credentials(1000 + number),
            false => at(1),
        };
        let (known, stranger) = (at(1).with_credentials(1), at(1).with_credentials(2));
        assert!(answered(&breaker, known, now));
        for number in 0..20 {
            assert!(call(&breaker, mallory(number), FAILED, now), "one at a time is served");
        }
        let both = [mallory(100), mallory(101)].map(|sender| breaker.enter(sender, now).unwrap());
        assert_eq!(breaker.enter(stranger, now).unwrap_err(), Stopped::Few);
        assert!(!shares(&breaker, user(9), now), "elsewhere");
        let known = breaker.enter(known, now).unwrap();
        drop(both);
        assert!(shares(&breaker, stranger, now));
        breaker.settle(&known, Ended::Answered, now);
        assert!(!shares(&breaker, mallory(200), now), "a success of that client");
    }
}

#[test]
fn few_calls_run_at_once_after_those_of_several_failed_without_a_success() {
    let (breaker, now) = (breaker(), Instant::now());
    stop(&breaker, user(1), now);
    stop(&breaker, user(2), now);
    assert!(answered(&breaker, user(9), now), "a success in between");
    stop(&breaker, user(3), now);
    assert!(call(&breaker, user(8), FAILED, now));
    stop(&breaker, user(4), now);
    assert!(!is_open_for_all(&breaker, now));
    stop(&breaker, user(5), now);
    assert!(is_open_for_all(&breaker, now));
    assert!(answered(&breaker, user(10), now), "one at a time is served");
    assert!(!is_open_for_all(&breaker, now), "and closes it");
}

#[test]
fn who_failed_waits_for_a_trial_while_the_breaker_is_open_for_all() {
    let (breaker, now) = (breaker(), Instant::now());
    open_for_all(&breaker, now);
    assert!(call(&breaker, user(7), FAILED, now), "one failure is enough now");
    let failed = [at(1).with_credentials(1000), at(2), user(7)];
    for sender in failed {
        assert!(
            matches!(breaker.enter(sender, now), Err(Stopped::Open(_))),
            "{sender:?}"
        );
    }
    let later = now + Duration::from_secs(2);
    let tried = breaker.enter(user(7), later).unwrap();
    assert!(breaker.enter(at(2), later).is_err(), "one trial at a time");
    breaker.settle(&tried, FAILED, later);
    assert!(
        breaker.enter(at(2), later + Duration::from_secs(1)).is_err(),
        "for longer"
    );
    assert!(is_open_for_all(&breaker, later + Duration::from_secs(1)));
    assert!(answered(&breaker, at(2), later + Duration::from_secs(3)));
    assert!(!is_open_for_all(&breaker, later + Duration::from_secs(3)));
    assert!(answered(&breaker, user(7), later + Duration::from_secs(3)));
}

#[test]
fn one_person_never_opens_the_breaker_for_all() {
    let (breaker, now) = (breaker(), Instant::now());
    // The same credentials from many addresses, and many credentials from one address.
    for number in 0..50 {
        call(&breaker, at(number).with_credentials(1), FAILED, now);
        call(&breaker, at(100).with_credentials(number.into()), FAILED, now);
        call(&breaker, at(100), FAILED, now);
    }
    assert!(!is_open_for_all(&breaker, now));
}

#[test]
fn who_is_known_is_served_however_few_calls_may_run() {
    let (breaker, now) = (breaker(), Instant::now());
    assert!(answered(&breaker, user(50), now));
    open_for_all(&breaker, now);
    let strangers = [100, 101].map(|number| breaker.enter(user(number), now).unwrap());
    assert_eq!(breaker.enter(user(102), now).unwrap_err(), Stopped::Few);
    assert!(answered(&breaker, user(50), now));
    assert!(!is_open_for_all(&breaker, now));
    drop(strangers);
}

#[test]
fn nobody_is_trusted_any_more_after_calls_of_several_known_senders_failed() {
    let (breaker, now) = (breaker(), Instant::now());
    for number in 50..60 {
        assert!(answered(&breaker, user(number), now));
    }
    // One person, as far as can be told.
    for number in [50, 51] {
        let sender = at(50).with_credentials(number);
        assert!(call(&breaker, sender, FAILED, now));
    }
    open_for_all(&breaker, now);
    let taken = || [100, 101].map(|number| breaker.enter(user(number), now).unwrap());
    let strangers = taken();
    for number in [53, 54] {
        assert!(call(&breaker, user(number), FAILED, now), "it is trusted");
        assert!(!call(&breaker, user(number), FAILED, now), "once");
    }
    assert_eq!(breaker.enter(user(55), now).unwrap_err(), Stopped::Few);
    drop(strangers);
    assert!(answered(&breaker, user(55), now));
    open_by(&breaker, [4, 5, 6], now);
    let _strangers = taken();
    assert!(answered(&breaker, user(56), now), "a success restores the trust");
}

#[test]
fn a_plugin_that_fails_before_it_reads_anything_is_broken_for_all() {
    let (breaker, now) = (breaker(), Instant::now());
    assert!(answered(&breaker, user(50), now));
    // Whoever asks, and from wherever.
    for _ in 0..THRESHOLD {
        assert!(!is_open_for_all(&breaker, now));
        assert!(call(&breaker, Sender::at(None), Ended::Failed(Fault::Plugin), now));
    }
    assert!(is_open_for_all(&breaker, now));
    let strangers = [100, 101].map(|number| breaker.enter(user(number), now).unwrap());
    assert_eq!(breaker.enter(user(50), now).unwrap_err(), Stopped::Few);
    drop(strangers);
    assert!(answered(&breaker, user(50), now));
    assert!(!is_open_for_all(&breaker, now));
}

#[test]
fn a_client_without_a_known_address_is_stopped_by_its_credentials_only() {
    let (breaker, now) = (breaker(), Instant::now());
    let unknown = Sender::at(None);
    for _ in 0..10 * THRESHOLD {
        assert!(call(&breaker, unknown, FAILED, now));
    }
    for credentials in 1..10 {
        stop(&breaker, unknown.with_credentials(credentials), now);
    }
    assert!(answered(&breaker, unknown.with_credentials(10), now));
}

#[test]
fn a_sender_whose_trial_the_breaker_for_all_prevents_is_tried_later() {
    let (breaker, start) = (breaker(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    open_for_all(&breaker, start);
    // The trial for all fails, so that all who failed wait until the fourth second.
    assert!(call(&breaker, at(2), FAILED, after(2)));
    assert!(
        !answered(&breaker, user(1), after(3)),
        "its own wait is over, that for all isn't"
    );
    assert!(answered(&breaker, user(1), after(4)));
}

#[test]
fn calls_that_began_before_the_breaker_opened_dont_keep_it_open() {
    let (breaker, now) = (breaker(), Instant::now());
    let late = [4, 5].map(|last| [(); THRESHOLD as usize].map(|()| breaker.enter(user(last), now).unwrap()));
    for last in [1, 2] {
        stop(&breaker, user(last), now);
    }
    for _ in 0..THRESHOLD {
        call(&breaker, user(3), FAILED, now);
    }
    for trial in late.into_iter().flatten() {
        breaker.settle(&trial, FAILED, now);
    }
    assert_eq!(
        breaker.enter(at(3), now).unwrap_err(),
        Stopped::Open(Duration::from_secs(1))
    );
}

#[test]
fn the_last_calls_of_a_replaced_authenticator_open_nothing() {
    let (breaker, now) = (breaker(), Instant::now());
    breaker.retire();
    for _ in 0..2 * THRESHOLD {
        assert!(call(&breaker, user(1), FAILED, now));
    }
}

#[test]
fn calls_without_credentials_are_put_down_to_the_client() {
    let (breaker, now) = (breaker(), Instant::now());
    for number in [1, 2, 3] {
        assert!(!is_open_for_all(&breaker, now));
        for _ in 0..THRESHOLD {
            assert!(call(&breaker, at(number), FAILED, now));
        }
    }
    assert!(is_open_for_all(&breaker, now));
}

#[test]
fn a_single_failure_can_be_too_many() {
    let (breaker, now) = (with_threshold(1), Instant::now());
    for number in [1, 2, 3] {
        assert!(!is_open_for_all(&breaker, now));
        assert!(call(&breaker, user(number), FAILED, now));
        assert!(!answered(&breaker, user(number), now));
    }
    assert!(is_open_for_all(&breaker, now));
}

#[test]
fn a_bounded_number_of_senders_is_remembered() {
    let (breaker, now) = (breaker(), Instant::now());
    assert!(call(&breaker, user(1), FAILED, now));
    assert!(answered(&breaker, user(2), now));
    let bounds = [
        bound(&breaker.failing),
        bound(&breaker.failing_clients),
        bound(&breaker.known),
    ];
    assert_eq!(bounds, [Some(MAX_REMEMBERED); 3]);
}

fn bound<K, V>(cache: &LazyCache<K, V>) -> Option<u64>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    cache.stored().unwrap().policy().max_capacity()
}
