//! Which responses may be stored, and how a stored response may be used, case by case. The tests don't need a server.

use super::*;

const NO_FLOOR: Duration = Duration::ZERO;
const FLOOR: Duration = Duration::from_secs(3600);

fn request(fields: &[(&'static str, &str)]) -> Request<()> {
    let builder = Request::get("https://idp.example/keys");
    let builder = fields
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap()
}

fn answer(status: u16, fields: &[(&'static str, &str)]) -> BufferedResponse {
    let field = |(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
    let mut headers = HeaderMap::new();
    headers.extend(fields.iter().map(field).collect::<Vec<(HeaderName, HeaderValue)>>());
    BufferedResponse {
        status: status.try_into().unwrap(),
        headers,
        body: "keys".into(),
    }
}

fn stored(asked: &[(&'static str, &str)], answered: &[(&'static str, &str)]) -> Option<Stored> {
    Stored::new(&request(asked), answer(200, answered))
}

fn label(used: &Freshness) -> &'static str {
    match used {
        Freshness::Fresh(_) => "fresh",
        Freshness::Stale(_) => "stale",
        Freshness::Validate(_) => "validate",
    }
}

#[test]
fn a_response_is_stored_if_a_shared_cache_may_store_it_and_can_use_it() {
    let authorized = [("authorization", "Bearer t")];
    for (asked, answered, expected) in [
        (&[][..], &[("cache-control", "max-age=60")][..], true),
        (&[], &[("cache-control", "public, s-maxage=60")], true),
        (&[], &[("etag", "\"1\"")], true),
        (&[], &[("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")], true),
        (&[], &[("cache-control", "stale-if-error=60")], true),
        (&[("cache-control", "stale-if-error=60")], &[], true),
        (&[], &[], false),
        (&[], &[("cache-control", "no-store")], false),
        (&[], &[("cache-control", "No-Store, max-age=60")], false),
        (&[], &[("cache-control", "private, max-age=60")], false),
        (&[], &[("cache-control", "Private=\"x\", Max-Age=60")], false),
        (&[], &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], false),
        (
            &[],
            &[("cache-control", "public, max-age=60"), ("set-cookie", "a=b")],
            false,
        ),
        (
            &[("cache-control", "no-store")],
            &[("cache-control", "max-age=60")],
            false,
        ),
        // RFC 9111, section 3.5.
        (&authorized, &[("cache-control", "max-age=60")], false),
        (&authorized, &[("etag", "\"1\"")], false),
        (&authorized, &[("cache-control", "public, max-age=60")], true),
        (&authorized, &[("cache-control", "must-revalidate, max-age=60")], true),
        (&authorized, &[("cache-control", "s-maxage=60")], true),
    ] {
        assert_eq!(stored(asked, answered).is_some(), expected, "{asked:?} {answered:?}");
    }
    for (status, expected) in [
        (200, true),
        (404, true),
        (206, false),
        (304, false),
        (500, false),
        (503, false),
    ] {
        let stored = Stored::new(&request(&[]), answer(status, &[("cache-control", "max-age=60")]));
        assert_eq!(stored.is_some(), expected, "{status}");
    }
}

#[test]
fn a_stored_response_is_used_with_its_age_while_it_is_fresh() {
    for (answered, asked, expected) in [
        (&[("cache-control", "max-age=60")][..], &[][..], "fresh"),
        (&[("cache-control", "max-age=60"), ("age", "59")], &[], "fresh"),
        (&[("cache-control", "max-age=60"), ("age", "60")], &[], "validate"),
        (
            &[
                ("cache-control", "max-age=60"),
                ("age", "18446744073709551615"),
                ("etag", "\"1\""),
            ],
            &[],
            "validate",
        ),
        (&[("cache-control", "max-age=18446744073709551615")], &[], "fresh"),
        (&[("cache-control", "max-age=-1"), ("etag", "\"1\"")], &[], "validate"),
        (
            &[("cache-control", "max-age=60, no-cache"), ("etag", "\"1\"")],
            &[],
            "validate",
        ),
        (
            &[("cache-control", "max-age=60"), ("vary", "*"), ("etag", "\"1\"")],
            &[],
            "validate",
        ),
        // There is no heuristic lifetime.
        (&[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")], &[], "validate"),
        (&[("cache-control", "immutable"), ("etag", "\"1\"")], &[], "validate"),
        (
            &[("cache-control", "max-age=60")],
            &[("cache-control", "no-cache")],
            "validate",
        ),
        (
            &[("cache-control", "max-age=60")],
            &[("cache-control", "No-Cache")],
            "validate",
        ),
        (
            &[("cache-control", "max-age=60")],
            &[("pragma", "no-cache")],
            "validate",
        ),
        (
            &[("cache-control", "max-age=60"), ("age", "5")],
            &[("cache-control", "max-age=0")],
            "validate",
        ),
        (
            &[("cache-control", "max-age=60")],
            &[("cache-control", "min-fresh=61")],
            "validate",
        ),
    ] {
        let Some(stored) = stored(&[], answered) else {
            assert_eq!(expected, "validate", "{answered:?}");
            continue;
        };
        let used = stored.satisfies(&request(asked), NO_FLOOR);
        assert_eq!(label(&used), expected, "{answered:?} {asked:?}");
        if let Freshness::Fresh(answer) = used {
            assert!(answer.headers.contains_key("age"), "{answered:?}");
        }
    }
}

#[test]
fn the_headers_in_vary_must_be_equal() {
    let stored = stored(
        &[("accept", "application/json")],
        &[("cache-control", "max-age=60"), ("vary", "Accept")],
    );
    let stored = stored.unwrap();
    for (accept, expected) in [("application/json", "fresh"), ("text/html", "validate")] {
        let used = stored.satisfies(&request(&[("accept", accept)]), NO_FLOOR);
        assert_eq!(label(&used), expected, "{accept}");
    }
}

#[test]
fn directives_for_a_newer_response_are_ignored_until_the_floor() {
    let stored = stored(&[], &[("cache-control", "max-age=60"), ("etag", "\"1\"")]).unwrap();
    for directive in ["no-cache", "max-age=0", "min-fresh=100"] {
        let asked = request(&[("cache-control", directive)]);
        assert_eq!(label(&stored.satisfies(&asked, FLOOR)), "fresh", "{directive}");
    }
    let used = stored.satisfies(&request(&[("cache-control", "no-cache")]), NO_FLOOR);
    let Freshness::Validate(validators) = used else {
        panic!("{}", label(&used));
    };
    assert_eq!(validators.get("if-none-match").unwrap(), "\"1\"");
}

#[test]
fn the_floor_does_not_make_a_stale_answer_fresh() {
    let stored = stored(&[], &[("etag", "\"1\"")]).unwrap();
    assert_eq!(label(&stored.satisfies(&request(&[]), FLOOR)), "validate");
}

#[test]
fn a_stale_response_is_used_for_a_failing_server_if_that_is_allowed() {
    for (answered, asked, expected) in [
        ("max-age=0, stale-if-error=60", &[][..], true),
        ("max-age=0, Stale-If-Error=60", &[], true),
        ("max-age=0, stale-if-error=0", &[], false),
        ("max-age=0, stale-if-error=x", &[], false),
        ("max-age=0", &[], false),
        ("max-age=0", &[("cache-control", "stale-if-error=60")], true),
        ("max-age=0, must-revalidate, stale-if-error=60", &[], false),
        ("max-age=0, proxy-revalidate, stale-if-error=60", &[], false),
        ("s-maxage=0, stale-if-error=60", &[], false),
        ("no-cache, stale-if-error=60", &[], false),
        ("no-cache", &[("cache-control", "stale-if-error=60")], false),
        // A request that asks for a newer response gets a stale one only if it allows that itself.
        ("max-age=0, stale-if-error=60", &[("cache-control", "no-cache")], false),
        (
            "max-age=0, stale-if-error=60",
            &[("cache-control", "no-cache, stale-if-error=60")],
            true,
        ),
    ] {
        let mut stored = stored(&[], &[("cache-control", answered), ("etag", "\"1\"")]).unwrap();
        stored.date -= Duration::from_secs(1);
        let instead = stored.instead(&request(asked));
        assert_eq!(instead.is_some(), expected, "{answered} {asked:?}");
    }
}

#[test]
fn a_stale_response_is_used_for_an_hour_at_most() {
    for (age, expected) in [(3599, true), (3601, false)] {
        let mut stored = stored(&[], &[("cache-control", "max-age=0, stale-if-error=999999")]).unwrap();
        stored.date -= Duration::from_secs(age);
        assert_eq!(stored.instead(&request(&[])).is_some(), expected, "{age}");
    }
}

#[test]
fn a_server_that_failed_gets_no_request_until_the_floor() {
    let stored = stored(&[], &[("cache-control", "max-age=0, stale-if-error=60")]).unwrap();
    assert_eq!(label(&stored.satisfies(&request(&[]), FLOOR)), "validate");
    stored.instead(&request(&[])).unwrap();
    assert_eq!(label(&stored.satisfies(&request(&[]), FLOOR)), "stale");
    assert_eq!(label(&stored.satisfies(&request(&[]), NO_FLOOR)), "validate");
}

#[test]
fn a_confirmation_updates_the_headers_except_those_of_the_body() {
    let old = [
        ("cache-control", "max-age=0"),
        ("etag", "W/\"1\""),
        ("content-length", "4"),
        ("age", "9"),
        ("x", "old"),
    ];
    let stored = stored(&[], &old).unwrap();
    let confirmation = answer(
        304,
        &[
            ("etag", "\"1\""),
            ("cache-control", "max-age=60"),
            ("content-length", "0"),
        ],
    );
    let confirmed = stored.confirmed(&confirmation.headers).unwrap();
    assert_eq!(confirmed.status, 200);
    for (name, value) in [("cache-control", "max-age=60"), ("content-length", "4"), ("x", "old")] {
        assert_eq!(confirmed.headers.get(name).unwrap(), value);
    }
    assert!(!confirmed.headers.contains_key("age"));
    assert!(stored.confirmed(&answer(304, &[]).headers).is_some());
    assert!(stored.confirmed(&answer(304, &[("etag", "\"2\"")]).headers).is_none());
}

#[test]
fn all_values_of_a_header_are_kept() {
    let stored = stored(
        &[],
        &[("cache-control", "max-age=60"), ("link", "<a>"), ("link", "<b>")],
    )
    .unwrap();
    let Freshness::Fresh(answer) = stored.satisfies(&request(&[]), NO_FLOOR) else {
        panic!("not fresh");
    };
    assert_eq!(answer.headers.get_all("link").iter().count(), 2);
}
