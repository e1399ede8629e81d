//! A session that is due is renewed by its login, once for all requests; it ends when the login says so, and outlives a provider that
//! is down for a while. The login is the guest of `tests/guests/scripted`: what it keeps is the script of its next answer.

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

use futures_util::FutureExt;
use futures_util::future::join_all;
use portcullis::Admission;
use portcullis::AuthRequest;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Flow;
use portcullis::Gate;
use portcullis::Limits;
use portcullis::Login;
use portcullis::Manifest;
use portcullis::Outcome;
use portcullis::Refusal;
use portcullis::Renewal;
use portcullis::Standing;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::Revocations;
use portcullis::session::SessionError;
use portcullis::session::Sessions;
use tokio::sync::watch;

use self::common::SCRIPTED;
use self::common::request;

const HOUR: Duration = Duration::from_secs(3600);

/// A gate whose only authenticator is the scripted login.
struct Stage {
    gate: Gate,
    gates: watch::Sender<Gate>,
    sessions: Arc<Sessions>,
    login: Login,
}

impl Stage {
    async fn new(limits: Limits) -> Self {
        Self::of(&SCRIPTED, limits).await
    }

    async fn of(component: &Component, limits: Limits) -> Self {
        let authenticator = Authenticator::builder("scripted", component).limits(limits);
        let authenticator = authenticator.build().await.unwrap();
        let login = authenticator.login().unwrap();
        let options = Options::new("session", false, HOUR).unwrap();
        let sessions = Sessions::new(KeyRing::new([Key::generate().unwrap()]).unwrap(), options);
        let sessions = sessions.with_revocations(Arc::new(Revocations::new(10, HOUR)));
        let sessions = Arc::new(sessions);
        let gate = Gate::new(Chain::new([authenticator]), Some(Arc::clone(&sessions)));
        Self {
            gates: watch::Sender::new(gate.clone()),
            gate,
            sessions,
            login,
        }
    }

    /// The cookie of a new session.
    async fn log_in(&self, script: &str) -> String {
        let flow = Flow::new("https://gateway.test/.portcullis/login/scripted/callback", false).unwrap();
        let parameters = vec![("do".to_owned(), script.to_owned())];
        let finished = self.login.finish(&request(&[]), &flow, b"", parameters).await;
        pair(&self.sessions.start(&finished.result.unwrap()).unwrap())
    }

    /// What a session has admitted, from this address.
    fn stands(&self, cookie: &str) -> Standing {
        let request = with_cookie(cookie);
        let session = self.sessions.read(&request.headers, self.gate.chain());
        Standing::new(&session.unwrap().unwrap(), &from_client(cookie))
    }

    /// Why it ends.
    async fn over(&self, standing: &Standing) -> String {
        let over = standing.over(self.gates.subscribe());
        let over = tokio::time::timeout(Duration::from_secs(30), over).await;
        over.unwrap_or_else(|_| panic!("{standing:?} goes on"))
    }

    /// The first admission for which the session is due.
    async fn when_due(&self, cookie: &str) -> Admission {
        for _ in 0..100 {
            self.is_due(cookie).await;
            let admission = self.gate.admit(&with_cookie(cookie)).await;
            if admission.renewal.is_some() || !admission.via_session {
                return admission;
            }
            assert_eq!(user(&admission).as_deref(), Some("alice"));
            assert!(admission.set_cookie.is_none());
        }
        panic!("the session never became due");
    }

    async fn is_due(&self, cookie: &str) {
        let read = || self.sessions.read(&with_cookie(cookie).headers, self.gate.chain());
        until(|| read().unwrap().unwrap().is_due(), "the session becomes due").await;
    }
}

async fn until(condition: impl Fn() -> bool, what: &str) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within ten seconds: {what}");
}

fn with_cookie(cookie: &str) -> Arc<AuthRequest> {
    request(&[("cookie", cookie)])
}

/// A request whose client's rate counts.
fn from_client(cookie: &str) -> Arc<AuthRequest> {
    let mut request = (*with_cookie(cookie)).clone();
    request.client_address = Some("192.0.2.1".parse().unwrap());
    Arc::new(request)
}

fn pair(set_cookie: &http::HeaderValue) -> String {
    set_cookie.to_str().unwrap().split(';').next().unwrap().to_owned()
}

fn user(admission: &Admission) -> Option<String> {
    let user = admission.decision.outcome.user()?;
    Some(user.identity().name().to_owned())
}

/// A deadline after which a script that loops has failed, and no breaker.
fn limits() -> Limits {
    Limits {
        deadline: Duration::from_millis(300),
        breaker: None,
        ..Limits::default()
    }
}

/// The same with a rate of calls for each client.
fn at_most(rate: &str) -> Limits {
    Limits {
        rate: Some(rate.parse().unwrap()),
        ..limits()
    }
}

#[tokio::test]
async fn each_answer_of_a_login_has_its_consequence() {
    let stage = Stage::new(limits()).await;
    for (next, label, expected_user) in [
        (" arrive-for,60,bob,x", "renewed", Some("bob")),
        (" refuse,unauthenticated", "over", None),
        (" refuse,forbidden", "over", None),
        // The user whose name can't be written is nobody.
        (" arrive-for,60,\u{1},x", "over", None),
        (" refuse,unavailable", "kept", Some("alice")),
        (" panic", "kept", Some("alice")),
        (" loop", "kept", Some("alice")),
        (" refuse,not-mine", "silent", None),
        // It keeps nothing.
        ("", "silent", None),
    ] {
        let cookie = stage.log_in(&format!("arrive-for 1 alice{next}")).await;
        let admission = stage.when_due(&cookie).await;
        let renewal = admission.renewal.as_ref().unwrap();
        assert_eq!(renewal.label(), label, "{next}: {renewal:?}");
        assert_eq!(user(&admission).as_deref(), expected_user, "{next}");
        assert_eq!(admission.via_session, expected_user.is_some(), "{next}");
        let set = admission
            .set_cookie
            .as_ref()
            .map(|cookie| cookie.to_str().unwrap().to_owned());
        let again = stage.sessions.read(&with_cookie(&cookie).headers, stage.gate.chain());
        match label {
            "renewed" => {
                let new = pair(&set.unwrap().parse().unwrap());
                let read = stage.sessions.read(&with_cookie(&new).headers, stage.gate.chain());
                let (new, old) = (read.unwrap().unwrap(), again.unwrap().unwrap());
                assert_eq!((new.id(), new.ends()), (old.id(), old.ends()));
                assert!(!new.is_due());
            }
            "over" => {
                assert!(
                    set.unwrap().contains("=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"),
                    "{next}"
                );
                assert_eq!(again.err(), Some(SessionError::Revoked), "{next}");
                assert!(admission.session.is_none());
            }
            _ => {
                assert_eq!(set, None, "{next}");
                assert!(again.is_ok(), "{next}");
                assert!(admission.session.is_some(), "the caller knows whom to renew");
            }
        }
        if label == "silent" {
            assert_eq!(admission.session_error, Some(SessionError::RenewalDue));
            let refused = matches!(
                admission.decision.outcome,
                Outcome::Refuse(Refusal::Unauthenticated { .. })
            );
            assert!(refused, "the chain decides: {:?}", admission.decision.outcome);
        }
    }
}

#[tokio::test]
async fn requests_of_one_session_share_one_renewal_and_late_ones_get_its_cookie() {
    let stage = Stage::new(at_most("1/h")).await;
    let cookie = stage.log_in("arrive-for 1 alice arrive-for,60,bob,x").await;
    stage.is_due(&cookie).await;
    // Of this client, the login may be asked once.
    let request = from_client(&cookie);
    let together = join_all((0..20).map(|_| stage.gate.admit(&request))).await;
    let late = stage.gate.admit(&request).await;
    for admission in together.iter().chain([&late]) {
        assert_eq!(admission.renewal, Some(Renewal::Renewed));
        assert_eq!(user(admission).as_deref(), Some("bob"));
        let renewed = stage
            .gate
            .admit(&with_cookie(&pair(admission.set_cookie.as_ref().unwrap())))
            .await;
        assert_eq!((user(&renewed).as_deref(), renewed.renewal), (Some("bob"), None));
    }
    // Sessions of the next generation know it too.
    let options = Options::new("session", false, HOUR).unwrap();
    let next = Sessions::new(KeyRing::new([Key::generate().unwrap()]).unwrap(), options);
    let _shared = next.with_renewals_of(&stage.sessions);
}

/// A request that was dropped has asked all the same: the refresh token is used up.
#[tokio::test]
async fn a_renewal_goes_on_when_the_client_is_gone() {
    let stage = Stage::new(at_most("1/h")).await;
    let cookie = stage.log_in("arrive-for 1 alice arrive-for,60,bob,x").await;
    stage.is_due(&cookie).await;
    let request = from_client(&cookie);
    let gone = stage.gate.admit(&request).now_or_never();
    assert!(gone.is_none(), "the call takes longer than nothing");
    let admission = stage.gate.admit(&request).await;
    assert_eq!(
        (user(&admission).as_deref(), admission.renewal),
        (Some("bob"), Some(Renewal::Renewed))
    );
}

/// The browser has brought a new cookie back from the provider, and the requests that it sent before have the old one.
#[tokio::test]
async fn a_session_that_a_browser_has_renewed_admits_late_requests_until_it_is_over() {
    let stage = Stage::new(limits()).await;
    for kept in ["", " refuse,not-mine"] {
        let old = stage.log_in(&format!("arrive-for 1 alice{kept}")).await;
        assert_eq!(stage.when_due(&old).await.renewal, Some(Renewal::Silent));
        let read = |cookie: &str| stage.sessions.read(&with_cookie(cookie).headers, stage.gate.chain());
        let due = read(&old).unwrap().unwrap();
        assert!(stage.sessions.renewed_meanwhile(&due).is_none());
        let flow = Flow::new("https://gateway.test/.portcullis/login/scripted/callback", true).unwrap();
        let parameters = vec![("do".to_owned(), "arrive-for 60 alice x".to_owned())];
        let finished = stage.login.finish(&request(&[]), &flow, b"", parameters).await;
        let new = pair(&stage.sessions.renew(&due, &finished.result.unwrap()).unwrap());
        let late = stage.gate.admit(&with_cookie(&old)).await;
        assert_eq!(
            (user(&late).as_deref(), &late.renewal),
            (Some("alice"), &Some(Renewal::Renewed))
        );
        let given = read(&pair(late.set_cookie.as_ref().unwrap())).unwrap().unwrap();
        let brought = read(&new).unwrap().unwrap();
        assert_eq!((given.id(), given.renew_at()), (brought.id(), brought.renew_at()));
        let meanwhile = stage.sessions.renewed_meanwhile(&due).unwrap();
        assert_eq!(meanwhile.renew_at(), brought.renew_at());
        stage.sessions.revocations().unwrap().revoke(&brought);
        assert!(stage.sessions.renewed_meanwhile(&due).is_none());
        assert!(!stage.gate.admit(&with_cookie(&old)).await.via_session);
    }
}

#[tokio::test]
async fn a_session_that_a_browser_brings_is_unused_until_it_admits_a_request() {
    let stage = Stage::new(limits()).await;
    let read = |cookie: &str| {
        let read = stage.sessions.read(&with_cookie(cookie).headers, stage.gate.chain());
        read.unwrap().unwrap()
    };
    let new = stage.log_in("arrive-for 60 alice").await;
    assert!(read(&new).is_unused());
    let admission = stage.gate.admit(&with_cookie(&new)).await;
    let used = pair(admission.set_cookie.as_ref().unwrap());
    assert!(!read(&used).is_unused());
    assert!(stage.gate.admit(&with_cookie(&used)).await.set_cookie.is_none());

    let flow = Flow::new("https://gateway.test/.portcullis/login/scripted/callback", true).unwrap();
    let parameters = vec![("do".to_owned(), "arrive-for 60 alice".to_owned())];
    let finished = stage.login.finish(&request(&[]), &flow, b"", parameters).await;
    let renewed = pair(&stage.sessions.renew(&read(&used), &finished.result.unwrap()).unwrap());
    assert!(read(&renewed).is_unused(), "the browser comes back with it once more");

    let due = stage.log_in("arrive-for 1 alice arrive-for,60,bob,x").await;
    let admission = stage.when_due(&due).await;
    assert_eq!(admission.renewal, Some(Renewal::Renewed));
    let renewed = pair(admission.set_cookie.as_ref().unwrap());
    assert!(
        !read(&renewed).is_unused(),
        "it has admitted the request for which it was renewed"
    );
}

#[tokio::test]
async fn who_only_wants_to_know_asks_no_login() {
    let stage = Stage::new(limits()).await;
    for (kept, label, expected_user) in [
        (" refuse,unauthenticated", "unasked", Some("alice")),
        (" arrive-for,60,bob,x", "unasked", Some("alice")),
        ("", "silent", None),
    ] {
        let cookie = stage.log_in(&format!("arrive-for 1 alice{kept}")).await;
        stage.is_due(&cookie).await;
        let admission = stage.gate.explain(&with_cookie(&cookie)).await;
        assert_eq!(admission.renewal.as_ref().unwrap().label(), label, "{kept}");
        assert_eq!(user(&admission).as_deref(), expected_user, "{kept}");
        assert!(admission.session.unwrap().is_due() && admission.set_cookie.is_none());
    }
    let cookie = stage.log_in("arrive-for 60 alice x").await;
    let admission = stage.gate.explain(&with_cookie(&cookie)).await;
    assert_eq!((user(&admission).as_deref(), admission.renewal), (Some("alice"), None));
    let nobody = stage.gate.explain(&request(&[])).await;
    assert!(user(&nobody).is_none() && nobody.session.is_none());
}

#[tokio::test]
async fn an_old_cookie_is_renewed_with_what_was_kept_last() {
    let stage = Stage::new(limits()).await;
    let script = "arrive-for 1 alice arrive-for,1,bob,arrive-for;60;carol;x";
    let old = stage.log_in(script).await;
    let first = stage.when_due(&old).await;
    assert_eq!(user(&first).as_deref(), Some("bob"));
    stage.is_due(&pair(first.set_cookie.as_ref().unwrap())).await;
    let second = stage.gate.admit(&with_cookie(&old)).await;
    assert_eq!(user(&second).as_deref(), Some("carol"), "{:?}", second.renewal);
}

#[tokio::test]
async fn a_session_that_is_revoked_while_it_is_renewed_stays_so() {
    let stage = Stage::new(limits()).await;
    let cookie = stage.log_in("arrive-for 1 alice arrive-for,60,bob,x").await;
    let admission = stage.when_due(&cookie).await;
    let renewed = admission.session.unwrap();
    stage.sessions.revocations().unwrap().revoke(&renewed);
    for cookie in [cookie, pair(&admission.set_cookie.unwrap())] {
        let late = stage.gate.admit(&with_cookie(&cookie)).await;
        assert_eq!((user(&late), late.session_error), (None, Some(SessionError::Revoked)));
    }
}

/// The browser sends no request meanwhile.
#[tokio::test]
async fn what_a_session_has_admitted_ends_when_its_login_says_so() {
    let stage = Stage::new(limits()).await;
    for (next, is_revoked) in [
        ("refuse,unauthenticated", true),
        ("refuse,forbidden", true),
        // What it says of a session that it has renewed counts as well.
        ("arrive-for,1,alice,refuse;unauthenticated", true),
        // No user may have such a name.
        ("arrive-for,60,\u{1},x", true),
        // Another user was let in, and the session goes on.
        ("arrive-for,60,bob,x", false),
        ("arrive,alice,0,+staff", false),
    ] {
        let cookie = stage.log_in(&format!("arrive-for 1 alice {next}")).await;
        stage.over(&stage.stands(&cookie)).await;
        let read = stage.sessions.read(&with_cookie(&cookie).headers, stage.gate.chain());
        assert_eq!(read.err() == Some(SessionError::Revoked), is_revoked, "{next}");
    }
}

/// All who waited are gone when the answer comes, and the next request comes when the session is due again.
#[tokio::test]
async fn an_answer_that_nobody_waited_for_is_as_old_as_any_other() {
    let stage = Stage::new(limits()).await;
    let cookie = stage
        .log_in("arrive-for 1 alice arrive-for,2,bob,arrive-for;60;carol;x")
        .await;
    stage.is_due(&cookie).await;
    let read = stage.sessions.read(&with_cookie(&cookie).headers, stage.gate.chain());
    let due = read.unwrap().unwrap();
    assert!(stage.gate.admit(&with_cookie(&cookie)).now_or_never().is_none());
    let renewed = || stage.sessions.renewed_meanwhile(&due).is_some();
    until(renewed, "the answer comes").await;
    until(|| !renewed(), "the session is due again").await;
    let admission = stage.gate.admit(&with_cookie(&cookie)).await;
    assert_eq!(user(&admission).as_deref(), Some("carol"), "{:?}", admission.renewal);
}

/// If each made a call of its own, the first renewals would use up the rate, and the login could not say that the session is over.
#[tokio::test]
async fn all_that_a_session_has_admitted_shares_one_call() {
    let stage = Stage::new(at_most("2/h")).await;
    let cookie = stage
        .log_in("arrive-for 1 alice arrive-for,1,alice,refuse;unauthenticated")
        .await;
    let standing = stage.stands(&cookie);
    let request = async {
        stage.is_due(&cookie).await;
        stage.gate.admit(&from_client(&cookie)).await
    };
    let over = join_all([&standing; 3].map(|standing| stage.over(standing)));
    let (admission, over) = tokio::join!(request, over);
    assert_eq!(admission.renewal, Some(Renewal::Renewed));
    let by_login = over.iter().filter(|why| *why == "requested by the test").count();
    let by_list = over.iter().filter(|why| **why == SessionError::Revoked.to_string());
    assert_eq!((by_login >= 1, by_login + by_list.count()), (true, 3), "{over:?}");
}

/// Otherwise what it keeps next, such as a refresh token, would be lost with this process.
#[tokio::test]
async fn a_login_that_does_not_say_that_it_may_be_asked_again_is_asked_for_requests_alone() {
    let wasm = Manifest::embed(&common::guest("scripted"), br#"{"name": "scripted"}"#).unwrap();
    let component = Component::new(&common::ENGINE, wasm).unwrap();
    let stage = Stage::of(&component, limits()).await;
    let cookie = stage.log_in("arrive-for 1 alice refuse,unauthenticated").await;
    stage.is_due(&cookie).await;
    let standing = stage.stands(&cookie);
    let (over, admission) = tokio::join!(stage.over(&standing), async {
        // Whatever asks the login at once has asked by then.
        let other = stage.log_in("arrive-for 60 bob x").await;
        assert_eq!(
            user(&stage.gate.admit(&with_cookie(&other)).await).as_deref(),
            Some("bob")
        );
        let read = stage.sessions.read(&with_cookie(&cookie).headers, stage.gate.chain());
        assert!(read.is_ok(), "{read:?}");
        stage.gate.admit(&with_cookie(&cookie)).await
    });
    assert_eq!(admission.renewal.unwrap().label(), "over");
    assert_eq!(over, SessionError::Revoked.to_string());
}

#[tokio::test]
async fn what_a_session_has_admitted_ends_when_its_sessions_or_its_authenticator_are_no_more() {
    let stage = Stage::new(limits()).await;
    let cookie = stage.log_in("arrive-for 60 alice x").await;
    let standing = stage.stands(&cookie);
    let authenticator = || Authenticator::builder("scripted", &SCRIPTED);
    let changed = authenticator().settings(serde_json::json!({"end": "nowhere"}));
    let changed = Chain::new([changed.build().await.unwrap()]);
    let same = Chain::new([authenticator().build().await.unwrap()]);
    let sessions = || Some(Arc::clone(&stage.sessions));
    let is_other = "its authenticator has changed, is disabled, or isn't configured any more".to_owned();
    for (next, why) in [
        (Gate::new(same.clone(), None), "sessions are disabled".to_owned()),
        (Gate::new(changed, sessions()), is_other.clone()),
        (Gate::new(Chain::new([]), sessions()), is_other),
    ] {
        stage.gates.send_replace(stage.gate.clone());
        let over = stage.over(&standing);
        let (over, ()) = tokio::join!(biased; over, async {
            stage.gates.send_replace(Gate::new(same.clone(), sessions()));
            tokio::task::yield_now().await;
            stage.gates.send_replace(next);
        });
        assert_eq!(over, why);
    }
}

#[tokio::test]
async fn a_client_that_can_not_keep_a_session_gets_none() {
    let simple = common::simple(serde_json::json!({"password": "secret", "valid_for": "1h"})).await;
    let credentials = ("authorization", common::basic("alice", "secret"));
    for (headers, lax, none) in [
        (&[][..], true, true),
        (
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
            true,
            true,
        ),
        (
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
            true,
            true,
        ),
        (
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            false,
            true,
        ),
        (&[("sec-fetch-site", "cross-site")], false, true),
        (&[("content-type", "application/grpc")], false, false),
        (&[("content-type", "application/grpc+proto")], false, false),
        (&[("content-type", "application/json")], true, true),
    ] {
        for (policy, expected) in [
            (portcullis::session::SameSitePolicy::Lax, lax),
            (portcullis::session::SameSitePolicy::None, none),
        ] {
            let options = Options::new("session", true, HOUR).unwrap().same_site(policy);
            let sessions = Sessions::new(KeyRing::new([Key::generate().unwrap()]).unwrap(), options);
            let gate = Gate::new(Chain::new([simple.clone()]), Some(Arc::new(sessions)));
            let mut fields = headers.to_vec();
            fields.push((credentials.0, credentials.1.as_str()));
            let admission = gate.admit(&request(&fields)).await;
            assert_eq!(admission.set_cookie.is_some(), expected, "{headers:?} {policy:?}");
            assert_eq!(user(&admission).as_deref(), Some("alice"));
        }
    }
}
