//! A reused decision is the one that a call would make, for any plugin and any requests.

use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;

use fastrand::Rng;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header;

use super::*;
use crate::decision::Attribute;
use crate::decision::AttributeValue;
use crate::decision::Authenticated;
use crate::decision::Claims;
use crate::decision::Next;
use crate::decision::Outcome;
use crate::decision::Refusal;
use crate::decision::Verdict;
use crate::question;

const LONG: Duration = Duration::from_secs(300);

/// A plugin: what it asks next depends on what it was answered so far, and so does its decision.
#[derive(Clone)]
enum Program {
    Ask(Attribute, Vec<Self>),
    Decide(String),
}

impl Program {
    fn random(rng: &mut Rng, depth: usize) -> Self {
        if depth == 0 || rng.u8(..8) == 0 {
            return Self::Decide(format!("user-{}", rng.u32(..)));
        }
        let names = ["a", "b", "cookie", "bad name"];
        let name = names[rng.usize(..names.len())].to_owned();
        let question = match rng.u8(..9) {
            0 => Attribute::Method,
            1 => Attribute::Path,
            2 => Attribute::Query,
            3 => Attribute::ClientAddress,
            4 => Attribute::ClientCertificate,
            5 => Attribute::Authority,
            6 => Attribute::Cookie(name),
            _ => Attribute::Header(name),
        };
        let branches = (0..rng.usize(1..4)).map(|_| Self::random(rng, depth - 1));
        Self::Ask(question, branches.collect())
    }

    /// What a call does: the decision, and what was read for it.
    fn run(&self, request: &AuthRequest, grants: &Grants) -> (String, Vec<AttributeRead>) {
        let (mut program, mut reads) = (self, Vec::<AttributeRead>::new());
        loop {
            match program {
                Self::Decide(user) => return (user.clone(), reads),
                Self::Ask(question, branches) => {
                    let granted = question::is_granted(question, grants);
                    let mut values = Vec::new();
                    if granted {
                        question::answer(question, request, grants, |value| values.push(value.to_vec()));
                    }
                    let number = values
                        .iter()
                        .flatten()
                        .fold(values.len(), |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte));
                    program = &branches[number % branches.len()];
                    if !reads.iter().any(|read| read.attribute == *question) {
                        reads.push(AttributeRead::new(
                            question.clone(),
                            granted,
                            AttributeValue::new(values),
                        ));
                    }
                }
            }
        }
    }
}

fn random_request(rng: &mut Rng) -> AuthRequest {
    let (parts, ()) = http::Request::get("http://app.test/").body(()).unwrap().into_parts();
    let mut request = AuthRequest::from_parts(&parts);
    // Few values, so that requests are often equal in what is read, and values that only lengths tell apart.
    let values = ["", "1", "11", "1, 1", "x"];
    let mut any = || values[rng.usize(..values.len())];
    request.path = format!("/{}", any());
    request.query = Some(format!("a={}&b={}", any(), any()));
    request.authority = Some(any().to_owned()).filter(|authority| !authority.is_empty());
    request.client_certificate = Some(any())
        .filter(|der| !der.is_empty())
        .map(|der| der.as_bytes().to_vec().into());
    request.headers.insert(
        header::COOKIE,
        HeaderValue::from_str(&format!("a={}; cookie={}", any(), any())).unwrap(),
    );
    for name in ["a", "b", "a"] {
        request
            .headers
            .append(HeaderName::from_static(name), HeaderValue::from_str(any()).unwrap());
    }
    request.method = if rng.bool() { Method::GET } else { Method::POST };
    request.client_address = Some(IpAddr::from([10, 0, 0, rng.u8(..2)])).filter(|_| rng.bool());
    request
}

fn random_grants(rng: &mut Rng) -> Grants {
    let mut some = |names: &[&str]| -> Vec<String> {
        let granted = names.iter().filter(|_| rng.bool());
        granted.map(|name| (*name).to_owned()).collect()
    };
    Grants {
        headers: some(&["a", "b", "cookie"])
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
        cookies: some(&["a", "cookie"]),
        query: some(&["a", "b"]),
        client_certificate: rng.bool(),
        ..Grants::default()
    }
}

fn grant(user: &str) -> Ruling {
    let claims = Claims {
        name: user.to_owned(),
        ..Claims::default()
    };
    let authenticated = Authenticated {
        identity: Arc::new(claims.try_into().unwrap()),
        authenticator: "a".into(),
        fingerprint: "f".into(),
        valid_for: Some(LONG),
        response_headers: http::HeaderMap::new(),
    };
    Ruling {
        next: Next::Stop(Outcome::Grant(authenticated)),
        verdict: Verdict::Grant { user: user.to_owned() },
    }
}

fn refusal() -> Ruling {
    Ruling {
        next: Next::Stop(Outcome::Refuse(Refusal::Forbid { challenge: None })),
        verdict: Verdict::Forbid(String::new()),
    }
}

fn user(kept: &Kept) -> &str {
    match &kept.ruling.verdict {
        Verdict::Grant { user } => user,
        _ => "",
    }
}

fn reuse(store: &Arc<Store>, grants: Grants) -> Arc<Reuse> {
    Reuse::new(store, &Arc::new(grants), LONG, LONG).unwrap()
}

async fn pending(reuse: &Arc<Reuse>, request: &AuthRequest) -> Pending {
    match reuse.look_up(request, None).await {
        Lookup::Unknown(pending) => pending,
        Lookup::Known(_) => panic!("it is known"),
    }
}

async fn known(reuse: &Arc<Reuse>, request: &AuthRequest) -> Option<String> {
    match reuse.look_up(request, None).await {
        Lookup::Unknown(_) => None,
        Lookup::Known(Known { kept, .. }) => Some(user(&kept).to_owned()),
    }
}

#[tokio::test]
async fn a_reused_decision_is_the_one_that_a_call_would_make() {
    let (mut reused, mut called) = (0, 0);
    let store = Arc::new(Store::new().unwrap());
    for seed in 0..300 {
        let rng = &mut Rng::with_seed(seed);
        let (program, grants) = (Program::random(rng, 4), random_grants(rng));
        let reuse = reuse(&store, grants.clone());
        for _ in 0..40 {
            let request = random_request(rng);
            let (expected, reads) = program.run(&request, &grants);
            match reuse.look_up(&request, None).await {
                Lookup::Known(Known { kept, .. }) => {
                    assert_eq!(user(&kept), expected, "seed {seed}: {request:?}");
                    let asked =
                        |reads: &[AttributeRead]| Vec::from_iter(reads.iter().map(|read| read.attribute.clone()));
                    assert_eq!(asked(&kept.reads), asked(&reads), "seed {seed}");
                    reused += 1;
                }
                Lookup::Unknown(pending) => {
                    pending.keep(&request, &grant(&expected), &reads, Some(LONG));
                    called += 1;
                }
            }
        }
    }
    assert!(
        reused > 2000 && called > 2000,
        "{reused} {called}: the requests are too much alike, or too different"
    );
}

fn reads(attribute: Attribute) -> Vec<AttributeRead> {
    vec![AttributeRead::new(attribute, true, AttributeValue::new(Vec::new()))]
}

#[tokio::test]
async fn what_may_not_be_reused_is_forgotten() {
    let store = Arc::new(Store::new().unwrap());
    let request = random_request(&mut Rng::with_seed(1));
    let path = || reads(Attribute::Path);
    for (case, expected, read, life) in [
        ("as usual", true, path(), Some(LONG)),
        ("no life", false, path(), None),
        ("a life of no time", false, path(), Some(Duration::ZERO)),
        ("valid once", false, reads(Attribute::Negotiate("a".into())), Some(LONG)),
    ] {
        let reuse = reuse(&store, Grants::default());
        pending(&reuse, &request)
            .await
            .keep(&request, &grant("alice"), &read, life);
        assert_eq!(known(&reuse, &request).await.is_some(), expected, "{case}");
        assert_eq!(
            known(&self::reuse(&store, Grants::default()), &request).await,
            None,
            "{case}: another plugin"
        );
    }
    assert!(Reuse::new(&store, &Arc::default(), Duration::ZERO, LONG).is_none());
}

#[tokio::test]
async fn forgotten_decisions_are_not_found_and_calls_that_run_are_not_kept() {
    let store = Arc::new(Store::new().unwrap());
    let reuse = reuse(&store, Grants::default());
    let request = random_request(&mut Rng::with_seed(1));
    pending(&reuse, &request)
        .await
        .keep(&request, &grant("alice"), &reads(Attribute::Path), Some(LONG));
    assert_eq!(known(&reuse, &request).await.as_deref(), Some("alice"));
    reuse.forget();
    let running = pending(&reuse, &request).await;
    reuse.forget();
    running.keep(&request, &grant("alice"), &reads(Attribute::Path), Some(LONG));
    assert_eq!(known(&reuse, &request).await, None);
}

#[tokio::test]
async fn a_decision_lives_from_the_beginning_of_its_call_and_no_longer_than_the_operator_says() {
    let store = Arc::new(Store::new().unwrap());
    let second = Duration::from_secs(1);
    let request = random_request(&mut Rng::with_seed(1));
    for (longest, life, call_took, expected) in [
        (LONG, second * 60, second * 59, true),
        (LONG, second * 60, second * 60, false),
        (second * 30, second * 60, second * 29, true),
        (second * 30, second * 60, second * 30, false),
    ] {
        let reuse = Reuse::new(&store, &Arc::default(), longest, LONG).unwrap();
        let mut call = pending(&reuse, &request).await;
        call.begun = call.begun.before(call_took);
        call.keep(&request, &grant("alice"), &reads(Attribute::Path), Some(life));
        let known = known(&reuse, &request).await;
        assert_eq!(known.is_some(), expected, "{longest:?} {life:?} {call_took:?}");
    }
}

/// The questions of the plugin are known, from a call whose decision was forgotten.
async fn one_question_was_asked() -> (Arc<Reuse>, AuthRequest) {
    let reuse = reuse(&Arc::new(Store::new().unwrap()), Grants::default());
    let request = random_request(&mut Rng::with_seed(1));
    pending(&reuse, &request)
        .await
        .keep(&request, &refusal(), &reads(Attribute::Path), Some(LONG));
    reuse.forget();
    (reuse, request)
}

#[tokio::test]
async fn equal_requests_wait_for_one_call() {
    let (reuse, request) = one_question_was_asked().await;
    let calls = AtomicUsize::new(0);
    let ask = || async {
        match reuse.look_up(&request, None).await {
            Lookup::Known(Known { kept, .. }) => user(&kept).to_owned(),
            Lookup::Unknown(pending) => {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                pending.keep(&request, &grant("alice"), &reads(Attribute::Path), Some(LONG));
                "alice".to_owned()
            }
        }
    };
    let users = futures_util::future::join_all((0..20).map(|_| ask())).await;
    assert!(users.iter().all(|user| user == "alice"));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_without_a_decision_for_others_holds_nobody_up() {
    let (reuse, request) = one_question_was_asked().await;
    let first = pending(&reuse, &request).await;
    let mut second = Box::pin(reuse.look_up(&request, None));
    assert!(
        futures_util::poll!(second.as_mut()).is_pending(),
        "it waits for the first"
    );
    drop(first);
    let Lookup::Unknown(second) = second.await else {
        panic!("nothing was kept")
    };
    assert!(second.leads.is_none());
    let third = pending(&reuse, &request).await;
    third.keep(&request, &grant("alice"), &reads(Attribute::Path), None);
    reuse.forget();
    let (fourth, fifth) = (pending(&reuse, &request).await, pending(&reuse, &request).await);
    assert!(
        fourth.leads.is_none() && fifth.leads.is_none(),
        "decisions that aren't for others aren't waited for"
    );
}

#[tokio::test]
async fn refused_strangers_cant_fill_the_list_of_questions() {
    let store = Arc::new(Store::new().unwrap());
    let reuse = reuse(&store, Grants::default());
    let request = random_request(&mut Rng::with_seed(1));
    let header = |number| reads(Attribute::Header(format!("h{number}")));
    for number in 0..20 {
        reuse
            .pending(None)
            .keep(&request, &refusal(), &header(number), Some(Duration::ZERO));
    }
    assert_eq!(reuse.plans.all().len(), 4);
    for number in 20..40 {
        reuse
            .pending(None)
            .keep(&request, &grant("alice"), &header(number), Some(Duration::ZERO));
    }
    assert_eq!(reuse.plans.all().len(), 8);
}
