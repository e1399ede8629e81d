use ::cookie::Cookie;
use futures_util::FutureExt;
use http::header;

use super::*;
use crate::authenticator::Authenticator;
use crate::decision::Claims;
use crate::grants::Grants;
use crate::login::Handle;

#[test]
fn a_session_lives_as_long_as_it_may_whenever_it_begins() {
    let millis = Duration::from_millis;
    for lifetime in [1, 999, 1000, 1500, 43_200_000].map(millis) {
        for start in [0, 1, 500, 999, 1000, 1_800_000_000_999] {
            let at = |later: Duration| Time(start + u64::try_from(later.as_millis()).unwrap());
            let end = Time(start).after(lifetime).unwrap();
            assert_eq!(end.left(Time(start)), Some(lifetime), "{start:?}");
            assert_eq!(end.left(at(lifetime - millis(1))), Some(millis(1)), "{start:?}");
            assert_eq!(end.left(at(lifetime)), None, "{start:?}");
            assert_eq!(end.left(at(lifetime * 2)), None, "{start:?}");
        }
    }
    for nothing in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        assert_eq!(Time(1).after(nothing), None, "{nothing:?}");
    }
}

fn sessions(key: &Key) -> Sessions {
    let options = Options::new("sid", false, Duration::from_secs(3600)).unwrap();
    Sessions::new(KeyRing::new([key.clone()]).unwrap(), options)
}

fn authenticated(valid_for: Option<Duration>, attribute: String) -> Authenticated {
    let claims = Claims {
        name: "alice".to_owned(),
        attributes: vec![("a".to_owned(), attribute)],
        ..Claims::default()
    };
    Authenticated {
        identity: Arc::new(claims.try_into().unwrap()),
        authenticator: "off".into(),
        fingerprint: "f".into(),
        valid_for,
        response_headers: HeaderMap::new(),
    }
}

#[test]
fn a_session_lives_no_longer_than_its_authenticator_and_its_operator_allow() {
    let sessions = sessions(&Key::generate().unwrap());
    for (valid_for, max_age) in [
        (None, None),
        (Some(Duration::ZERO), None),
        (Some(Duration::from_secs(60)), Some("Max-Age=60")),
        (Some(Duration::from_secs(3600)), Some("Max-Age=3600")),
        (Some(Duration::from_secs(7200)), Some("Max-Age=3600")),
    ] {
        let cookie = sessions.seal(&authenticated(valid_for, String::new()));
        let cookie = cookie.map(|cookie| cookie.to_str().unwrap().to_owned());
        let found = cookie.as_deref().and_then(|cookie| cookie.rsplit("; ").next());
        assert_eq!(found, max_age, "{valid_for:?}");
    }
}

#[test]
fn an_identity_that_is_too_large_for_a_cookie_gets_no_session() {
    let sessions = sessions(&Key::generate().unwrap());
    let sealed = |length: usize| {
        let cookie = sessions.seal(&authenticated(Some(Duration::from_secs(60)), "x".repeat(length)))?;
        let cookie = Cookie::parse(cookie.to_str().unwrap().to_owned()).unwrap();
        Some(cookie.value().len())
    };
    let longest = (2500..2800).rfind(|length| sealed(*length).is_some()).unwrap();
    assert_eq!(sealed(longest), Some(MAX_COOKIE));
    assert!((longest - 5..longest).all(|length| sealed(length).is_some()));
}

#[test]
fn a_cookie_that_is_in_doubt_opens_no_session() {
    let (own, other) = (Key::generate().unwrap(), Key::generate().unwrap());
    let chain = Chain::new([Authenticator::disabled("off", Grants::default(), "it is tested")]);
    let now = Time::now();
    let hour = Time(now.0 + 3_600_000);
    let seal = |key: &Key, name: &str, ends: Time| {
        let user = authenticated(None, String::new());
        let of = (user.authenticator, user.fingerprint);
        let session = Sealed::new(SessionId::new().unwrap(), user.identity, of, now, ends);
        let ring = KeyRing::new([key.clone()]).unwrap();
        ring.seal(name, &session.to_bytes().unwrap()).unwrap()
    };
    let no_json = KeyRing::new([own.clone()]).unwrap().seal("sid", b"{").unwrap();
    let sessions = sessions(&own);
    for (cookie, error) in [
        ("other=x".to_owned(), None),
        // That of an earlier version is as good as none.
        (
            "sid=AqQg47tkZWZnaGlqa2xtbm87fq0VEIY4WX2BaDm7NDf6SYp_r7YnXg".to_owned(),
            None,
        ),
        ("sid=".to_owned(), Some(SessionError::Seal)),
        (format!("sid={no_json}"), Some(SessionError::Seal)),
        (format!("sid={}", seal(&other, "sid", hour)), Some(SessionError::Seal)),
        (format!("sid={}", seal(&own, "another", hour)), Some(SessionError::Seal)),
        // It would have been valid in 1970.
        (
            format!("sid={}", seal(&own, "sid", Time(3_600_000))),
            Some(SessionError::Expired),
        ),
        (format!("sid={}", seal(&own, "sid", now)), Some(SessionError::Expired)),
        (
            format!("sid={}", seal(&own, "sid", hour)),
            Some(SessionError::Authenticator),
        ),
        (
            format!("sid=; sid={}", seal(&own, "sid", hour)),
            Some(SessionError::Several),
        ),
    ] {
        let (parts, ()) = http::Request::new(()).into_parts();
        let mut request = AuthRequest::from_parts(&parts);
        request.headers.insert(header::COOKIE, cookie.parse().unwrap());
        let opened = sessions.open(&request, &chain);
        assert!(!matches!(opened, Ok(Some(_))), "{cookie}");
        assert_eq!(opened.err(), error, "{cookie}");
    }
}

/// A chain whose authenticator has the login of these sessions, and a user of it.
async fn logged_in() -> (Chain, Authenticated) {
    let engine = crate::engine::Engine::builder().build().unwrap();
    let wasm = portcullis_plugins::find("simple").unwrap();
    let component = crate::component::Component::new(&engine, wasm).unwrap();
    let authenticator = Authenticator::builder("people", &component).build().await.unwrap();
    let user = Authenticated {
        authenticator: "people".into(),
        fingerprint: Arc::clone(authenticator.fingerprint().unwrap()),
        ..authenticated(Some(Duration::from_secs(60)), String::new())
    };
    (Chain::new([authenticator]), user)
}

fn arrival(user: &Authenticated, keep: usize, handles: &[&str]) -> Arrival {
    Arrival {
        authenticated: user.clone(),
        renew_after: Duration::from_secs(60),
        keep: Some(vec![0xff; keep]),
        handles: handles.iter().map(|handle| Handle::new(*handle).unwrap()).collect(),
    }
}

fn with_cookie(cookie: &str) -> AuthRequest {
    let (parts, ()) = http::Request::new(()).into_parts();
    let mut request = AuthRequest::from_parts(&parts);
    let cookie = cookie.split(';').next().unwrap();
    request.headers.insert(header::COOKIE, cookie.parse().unwrap());
    request
}

fn text(cookie: &HeaderValue) -> &str {
    cookie.to_str().unwrap()
}

#[tokio::test]
async fn a_session_of_a_login_goes_on_with_its_id_until_its_end() {
    let sessions = sessions(&Key::generate().unwrap());
    let (chain, user) = logged_in().await;
    let read = |cookie: &HeaderValue| {
        sessions
            .read(&with_cookie(text(cookie)).headers, &chain)
            .unwrap()
            .unwrap()
    };
    let cookie = sessions.start(&arrival(&user, 2048, &["sid:1", "sub:a"])).unwrap();
    assert!(text(&cookie).ends_with("Max-Age=3600"), "{cookie:?}");
    assert!(cookie.len() < 4096, "{}", cookie.len());
    let session = read(&cookie);
    assert_eq!(session.identity().name(), "alice");
    assert_eq!(session.keep(), Some(&[0xff; 2048][..]));
    assert!(!session.is_due() && session.due_for().is_none());
    assert!(session.authenticated().unwrap().valid_for().unwrap() <= Duration::from_secs(60));
    assert_ne!(
        read(&sessions.start(&arrival(&user, 0, &[])).unwrap()).id(),
        session.id()
    );

    let mut due = session.clone();
    due.sealed.due = Some(Time(session.now.0 - 5_000));
    assert!(due.is_due() && due.authenticated().is_none());
    assert_eq!(due.due_for(), Some(Duration::from_secs(5)));
    let late = sessions.written(&due.sealed, due.now).unwrap();
    assert!(read(&late).is_due());
    let opened = sessions.open(&with_cookie(text(&late)), &chain);
    assert_eq!(opened.err(), Some(SessionError::RenewalDue));

    // What the login says now counts, also for a session that an older version of the plugin has begun.
    let user = Authenticated {
        identity: authenticated(None, "new".to_owned()).identity,
        ..user
    };
    (due.sealed.fingerprint, due.sealed.seen) = ("older".into(), Time(0));
    let renewed = read(&sessions.renew(&due, &arrival(&user, 3, &[])).unwrap());
    assert_eq!(*renewed.identity(), *user.identity);
    assert!(renewed.sealed.seen.0 >= session.now.0);
    assert_eq!((renewed.id(), renewed.begun()), (session.id(), session.begun()));
    assert_eq!((renewed.ends(), renewed.keep()), (session.ends(), Some(&[0xff; 3][..])));
    assert!(!renewed.is_due() && renewed.sealed.handles.is_empty());
    let mut other = arrival(&user, 0, &[]);
    other.authenticated.authenticator = "other".into();
    assert_eq!(sessions.renew(&due, &other), Err(NoSession::OtherAuthenticator));

    let mut old = due.clone();
    old.sealed.begun = Time(due.now.0 - 3_600_000);
    let old = sessions.written(&old.sealed, due.now).unwrap();
    let opened = sessions.read(&with_cookie(text(&old)).headers, &chain);
    assert_eq!(
        opened.err(),
        Some(SessionError::Expired),
        "max_age counts from the beginning"
    );
}

#[tokio::test]
async fn a_session_that_does_not_fit_into_a_cookie_is_an_error() {
    let sessions = sessions(&Key::generate().unwrap());
    let (_, mut user) = logged_in().await;
    let claims = Claims {
        name: "alice".to_owned(),
        groups: vec!["g".repeat(100); 10],
        ..Claims::default()
    };
    user.identity = Arc::new(claims.try_into().unwrap());
    assert!(sessions.start(&arrival(&user, 1024, &[])).is_ok());
    let error = sessions.start(&arrival(&user, 2048, &[])).unwrap_err();
    assert!(matches!(error, NoSession::TooLarge { groups: 10, .. }), "{error:?}");
    assert!(error.to_string().contains("a cookie has room for 3800"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_and_use_keeps_it() {
    let idle = Duration::from_secs(600);
    let options = Options::new("sid", false, Duration::from_secs(3600))
        .unwrap()
        .idle(idle);
    let sessions = Sessions::new(KeyRing::new([Key::generate().unwrap()]).unwrap(), options);
    let (chain, user) = logged_in().await;
    let cookie = sessions.start(&arrival(&user, 0, &[])).unwrap();
    assert!(text(&cookie).ends_with("Max-Age=600"), "{cookie:?}");
    let session = sessions
        .read(&with_cookie(text(&cookie)).headers, &chain)
        .unwrap()
        .unwrap();
    for (ago, is_over, is_touched) in [
        (0, false, false),
        (149, false, false),
        (151, false, true),
        (599, false, true),
        (600, true, true),
    ] {
        let mut used = session.clone();
        used.sealed.unused = false;
        used.sealed.seen = Time(session.now.0 - ago * 1000);
        let written = sessions.written(&used.sealed, session.now).unwrap();
        let opened = sessions.read(&with_cookie(text(&written)).headers, &chain);
        assert_eq!(opened.err(), is_over.then_some(SessionError::Idle), "{ago}");
        assert_eq!(sessions.touch(&used).is_some(), is_touched, "{ago}");
    }
    let mut used = session.clone();
    used.sealed.seen = Time(session.now.0 - 300_000);
    let touched = sessions.touch(&used).unwrap();
    let touched = sessions
        .read(&with_cookie(text(&touched)).headers, &chain)
        .unwrap()
        .unwrap();
    assert_eq!((touched.id(), touched.sealed.seen), (session.id(), session.now));
    assert_eq!(touched.sealed.due, session.sealed.due, "use doesn't renew it");
}

#[tokio::test]
async fn what_is_revoked_is_over_and_nothing_else_is() {
    let list = Arc::new(Revocations::new(100, Duration::from_secs(3600)));
    let sessions = sessions(&Key::generate().unwrap()).with_revocations(Arc::clone(&list));
    let (chain, user) = logged_in().await;
    let start = |handles: &[&str]| sessions.start(&arrival(&user, 0, handles)).unwrap();
    let read = |cookie: &HeaderValue| sessions.read(&with_cookie(text(cookie)).headers, &chain);
    let cookies = [
        start(&["sid:1", "sub:a"]),
        start(&["sid:2", "sub:a"]),
        start(&["sid:3"]),
        start(&[]),
    ];
    let open = || cookies.each_ref().map(|cookie| read(cookie).is_ok());
    list.revoke_handle("other", &Handle::new("sid:1").unwrap());
    list.revoke_handle("people", &Handle::new("sid:").unwrap());
    assert_eq!(open(), [true; 4]);
    list.revoke_handle("people", &Handle::new("sid:3").unwrap());
    assert_eq!(open(), [true, true, false, true]);
    let last = read(&cookies[3]).unwrap().unwrap();
    list.revoke(&last);
    assert_eq!(open(), [true, true, false, false]);
    assert_eq!(read(&cookies[3]).err(), Some(SessionError::Revoked));
    let renewed = sessions.renew(&last, &arrival(&user, 0, &[])).unwrap();
    assert_eq!(
        read(&renewed).err(),
        Some(SessionError::Revoked),
        "a late answer doesn't restore it"
    );
    list.revoke_handle("people", &Handle::new("sub:a").unwrap());
    assert_eq!(open(), [false; 4]);
    assert_eq!(list.len(), 5);
}

/// A session of alice with this id, which began at this time.
fn begun_at(id: u8, begun: u64) -> Sealed {
    let user = authenticated(None, String::new());
    let of = (user.authenticator, user.fingerprint);
    Sealed::new(SessionId([id; 16]), user.identity, of, Time(begun), Time(u64::MAX))
}

/// What an operator revokes is over everywhere: the list of another process is told the same.
#[tokio::test]
async fn an_operator_ends_the_sessions_of_a_scope() {
    let now = Time::now().0;
    let id = SessionId([1; 16]);
    for (scope, ends_others) in [
        (RevocationScope::Session(id), false),
        (RevocationScope::User("alice".into()), true),
        (RevocationScope::Authenticator("off".into()), true),
        (RevocationScope::Everybody, true),
    ] {
        let lists = [(); 2].map(|()| Revocations::new(10, Duration::from_secs(3600)));
        let mut orders = lists.each_ref().map(Revocations::operator_revocations);
        lists[0].revoke_scope(&scope);
        lists[0].entries().into_iter().for_each(|entry| lists[1].hear(entry));
        for (list, orders) in lists.iter().zip(&mut orders) {
            assert!(list.end(&begun_at(1, now - 1)), "{scope:?}");
            assert_eq!(list.end(&begun_at(2, now - 1)), ends_others, "{scope:?}");
            assert!(
                !list.end(&begun_at(2, now + 60_000)),
                "who comes back is let in: {scope:?}"
            );
            let order = orders.next().now_or_never();
            assert_eq!(order.is_some(), ends_others, "{scope:?}");
        }
        // What is known already is no news.
        lists[0].entries().into_iter().for_each(|entry| lists[1].hear(entry));
        assert!(orders[1].next().now_or_never().is_none());
    }
    for nobody in ["Alice", "alic", "", "off"] {
        let list = Revocations::new(10, Duration::from_secs(3600));
        list.revoke_scope(&RevocationScope::User(nobody.into()));
        list.revoke_scope(&RevocationScope::Authenticator("alice".into()));
        assert!(!list.end(&begun_at(1, now - 1)), "{nobody}");
        // Once it made room for others, nothing of it is left but that older sessions are over.
        list.set_bounds(1, Duration::from_secs(3600));
        list.add(Revocation {
            key: [9; 16],
            begun_until: now + 1000,
        });
        assert!(list.end(&begun_at(1, now - 1)) && !list.end(&begun_at(1, now + 900)));
    }
}

/// A session that begins after a revocation isn't over, and what the list forgets never comes back to life.
#[test]
fn a_full_list_of_revocations_never_lets_anybody_in_again() {
    let list = Revocations::new(3, Duration::from_secs(3600));
    let now = Time::now().0;
    let is_over = |n: u8, begun: u64| list.end(&begun_at(n, begun));
    let add = |n: u8, begun_until: u64| {
        list.add(Revocation {
            key: [n; 16],
            begun_until,
        })
    };
    add(1, now - 30);
    add(2, now - 20);
    add(1, now - 40);
    assert_eq!(list.len(), 2);
    assert!(is_over(1, now - 30) && !is_over(1, now - 29) && !is_over(3, now - 30));
    add(3, now - 10);
    add(4, now);
    assert_eq!(list.len(), 3);
    assert!(
        is_over(1, now - 30) && is_over(9, now - 30),
        "all that began until then are over"
    );
    assert!(!is_over(9, now - 29) && is_over(2, now - 20) && is_over(4, now));
    let kept = list.entries();
    assert_eq!(kept.iter().map(|kept| kept.key[0]).collect::<Vec<_>>(), [2, 3, 4]);
    let restored = Revocations::new(3, Duration::from_secs(3600));
    for kept in kept {
        restored.add(kept);
    }
    assert_eq!(restored.entries(), list.entries());
    // Sessions of before the longest age are over anyway.
    let short = Revocations::new(3, Duration::from_secs(1));
    short.add(Revocation {
        key: [1; 16],
        begun_until: now - 5_000,
    });
    short.add(Revocation {
        key: [2; 16],
        begun_until: now,
    });
    assert_eq!(short.len(), 1);
}

#[test]
fn a_sink_is_told_of_what_is_revoked_here_and_not_of_what_comes_from_elsewhere() {
    struct Sink(Arc<std::sync::Mutex<Vec<Revocation>>>);
    impl RevocationSink for Sink {
        fn revoked(&self, revocation: Revocation) {
            self.0.lock().unwrap().push(revocation);
        }
    }
    let told = Arc::default();
    let list = Revocations::new(3, Duration::from_secs(3600)).with_sink(Sink(Arc::clone(&told)));
    list.add(Revocation {
        key: [1; 16],
        begun_until: 1,
    });
    assert!(told.lock().unwrap().is_empty());
    list.revoke_handle("people", &Handle::new("sid:1").unwrap());
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(list.entries().contains(&told[0]));
}

#[tokio::test]
async fn while_its_login_can_not_decide_a_session_goes_on_for_a_while() {
    let sessions = sessions(&Key::generate().unwrap());
    let (chain, user) = logged_in().await;
    let cookie = sessions.start(&arrival(&user, 0, &[])).unwrap();
    let session = sessions.read(&with_cookie(text(&cookie)).headers, &chain);
    let session = session.unwrap().unwrap();
    let patience = Duration::from_secs(300);
    for (due_for, left) in [(0, Some(300)), (299, Some(1)), (300, None), (3000, None)] {
        let mut due = session.clone();
        due.sealed.due = Some(Time(session.now.0 - due_for * 1000));
        assert!(due.authenticated().is_none());
        let user = due.authenticated_though_due(patience);
        let valid_for = user.map(|user| user.valid_for().unwrap());
        assert_eq!(valid_for, left.map(Duration::from_secs), "{due_for}");
    }
    let mut last = session.clone();
    last.sealed.due = Some(session.now);
    last.sealed.ends = Time(session.now.0 + 1000);
    let user = last.authenticated_though_due(patience).unwrap();
    assert_eq!(user.valid_for(), Some(Duration::from_secs(1)), "never beyond its end");
}

/// The provider refuses connections.
#[tokio::test]
async fn a_session_whose_login_could_not_be_asked_for_long_is_refused_with_503() {
    let engine = crate::engine::Engine::builder().build().unwrap();
    let wasm = portcullis_plugins::find("jupyterhub").unwrap();
    let component = crate::component::Component::new(&engine, wasm).unwrap();
    let settings = serde_json::json!({
        "api_url": "http://127.0.0.1:9/hub/api",
        "service_name": "a",
        "login": {"authorize_url": "https://hub.test/authorize", "client_secret": "secret"},
    });
    let builder = Authenticator::builder("people", &component).settings(settings);
    let authenticator = builder.build().await.unwrap();
    let user = Authenticated {
        authenticator: "people".into(),
        fingerprint: Arc::clone(authenticator.fingerprint().unwrap()),
        ..authenticated(Some(Duration::from_secs(60)), String::new())
    };
    let sessions = Arc::new(sessions(&Key::generate().unwrap()));
    let gate = crate::gate::Gate::new(Chain::new([authenticator]), Some(Arc::clone(&sessions)));
    for (due_for, expected) in [(299, "kept"), (301, "unavailable")] {
        let arrival = Arrival {
            keep: Some(b"token".to_vec()),
            ..arrival(&user, 0, &[])
        };
        let cookie = sessions.start(&arrival).unwrap();
        let session = sessions.read(&with_cookie(text(&cookie)).headers, gate.chain());
        let mut session = session.unwrap().unwrap();
        session.sealed.due = Some(Time(session.now.0 - due_for * 1000));
        let cookie = sessions.written(&session.sealed, session.now).unwrap();
        let admission = gate.admit(&Arc::new(with_cookie(text(&cookie)))).await;
        let renewal = admission.renewal.unwrap();
        assert_eq!(renewal.label(), expected, "{renewal:?}");
        match admission.decision.outcome {
            crate::decision::Outcome::Grant(user) => assert_eq!((user.identity().name(), due_for), ("alice", 299)),
            crate::decision::Outcome::Refuse(refusal) => {
                assert!(
                    matches!(refusal, crate::decision::Refusal::Unavailable { .. }),
                    "{refusal:?}"
                );
                assert_eq!(due_for, 301);
            }
        }
        assert!(admission.set_cookie.is_none());

        // Of what lasts, likewise.
        let standing = crate::gate::Standing::new(&session, &with_cookie(text(&cookie)));
        let (_gates, watched) = tokio::sync::watch::channel(gate.clone());
        let over = tokio::time::timeout(Duration::from_secs(5), standing.over(watched)).await;
        assert_eq!(over.is_ok(), expected == "unavailable", "{over:?}");
        assert!(!sessions.is_revoked(&session.sealed));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_session_admitted_ends_with_it() {
    let list = Arc::new(Revocations::new(100, Duration::from_secs(3600)));
    let sessions = sessions(&Key::generate().unwrap()).with_revocations(Arc::clone(&list));
    let (chain, user) = logged_in().await;
    let read = |cookie: &HeaderValue| {
        let read = sessions.read(&with_cookie(text(cookie)).headers, &chain);
        read.unwrap().unwrap()
    };
    let one = read(&sessions.start(&arrival(&user, 0, &["sid:1"])).unwrap());
    let other = read(&sessions.start(&arrival(&user, 0, &[])).unwrap());
    let (one_end, other_end) = (sessions.end_of(&one), sessions.end_of(&other));
    let waiting = tokio::spawn(async move { one_end.reached().await });
    let other_waiting = tokio::spawn(async move { other_end.reached().await });
    for n in 0..10 {
        list.add(Revocation {
            key: [n; 16],
            begun_until: Time::now().0,
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !other_waiting.is_finished());
    }
    list.revoke_handle("people", &Handle::new("sid:1").unwrap());
    waiting.await.unwrap();
    assert!(!other_waiting.is_finished());
    let mut over = other.clone();
    over.sealed.ends = over.now;
    sessions.end_of(&over).reached().await;
    over.sealed = other.sealed.clone();
    over.sealed.begun = Time(over.now.0 - 3_600_000);
    sessions.end_of(&over).reached().await;
}

#[test]
fn what_a_gateway_tells_of_revocations_is_sealed_and_fresh() {
    let key = Key::generate().unwrap();
    let (own, other) = (sessions(&key), sessions(&Key::generate().unwrap()));
    let list = Vec::from_iter((0..200).map(|n| Revocation {
        key: [n; 16],
        begun_until: u64::from(n) << 40,
    }));
    for told in [&list[..], &list[..1], &[]] {
        let message = own.seal_revocations(told).unwrap();
        assert_eq!(own.open_revocations(message.as_bytes()).as_deref(), Some(told));
        assert_eq!(other.open_revocations(message.as_bytes()), None);
        assert_eq!(own.open_revocations(&message.as_bytes()[1..]), None);
        assert_eq!(own.keys.open("sid", message.as_bytes()), None, "it is no session");
    }
    let mut more = list.clone();
    more.push(list[0]);
    assert_eq!(own.seal_revocations(&more), None);
    let now = Time::now().0;
    for (sent, rest, is_taken) in [
        (now, 0, true),
        (now - 299_000, 24, true),
        (now - 301_000, 24, false),
        (now + 50_000, 24, true),
        (now + 70_000, 24, false),
        (now, 23, false),
        (now, 25, false),
    ] {
        let bytes = [&sent.to_be_bytes()[..], &vec![1; rest]].concat();
        let message = own.keys.seal_for(ring::Purpose::Revocations, "peers", &bytes).unwrap();
        assert_eq!(
            own.open_revocations(message.as_bytes()).is_some(),
            is_taken,
            "{sent} {rest}"
        );
    }
}

#[test]
fn a_list_of_revocations_is_kept_and_bounded_as_a_whole() {
    let hour = Duration::from_secs(3600);
    let list = Revocations::new(10, hour);
    let now = Time::now().0;
    for n in 0..10 {
        list.add(Revocation {
            key: [n; 16],
            begun_until: now - 100 + u64::from(n),
        });
    }
    assert_eq!((list.len(), list.all_until()), (10, None));
    list.set_bounds(3, hour);
    assert_eq!((list.len(), list.all_until()), (3, Some(now - 94)));
    let other = Revocations::new(100, hour);
    list.entries_for_others().into_iter().for_each(|told| other.hear(told));
    assert!(other.end(&begun_at(77, now - 94)) && !other.end(&begun_at(77, now - 93)));
    list.revoke_all(now - 500);
    assert_eq!(list.all_until(), Some(now - 94), "it never goes back");
    list.revoke_all(now);
    assert!(list.end(&begun_at(77, now)) && !list.end(&begun_at(77, now + 1)));
}
