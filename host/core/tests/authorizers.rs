//! Authorizers: what each answer leads to, that no failure is a permission, and for whom a decision is reused.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use http::HeaderName;
use http::Request;
use http::StatusCode;
use portcullis::AuthRequest;
use portcullis::AuthenticateLayer;
use portcullis::Authorizer;
use portcullis::Authorizers;
use portcullis::Chain;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::Gate;
use portcullis::Grants;
use portcullis::Limits;
use portcullis::Role;
use portcullis::decision::Authorization;
use portcullis::decision::Claims;
use portcullis::decision::Identity;
use portcullis::decision::Permits;
use portcullis::decision::Refusal;
use portcullis::decision::Verdict;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::Sessions;
use serde_json::Value;
use serde_json::json;
use tower::Service;

use self::common::ENGINE;
use self::common::basic;
use self::common::guest;
use self::common::request;
use self::common::simple;

/// The guest of `tests/guests/judge`, which answers as a header says.
static JUDGE: LazyLock<Component> = LazyLock::new(|| Component::new(&ENGINE, guest("judge")).unwrap());

/// An authorizer that does what its header says, and whether it needs a grant for it.
async fn judge(name: &str, settings: Value) -> Authorizer {
    let header = settings.get("header").and_then(Value::as_str).unwrap_or("x-judge");
    let grants = Grants {
        headers: vec![header.parse::<HeaderName>().unwrap()],
        ..Grants::of_role(Role::Authorizer)
    };
    let limits = Limits {
        deadline: Duration::from_millis(500),
        breaker: None,
        ..Limits::default()
    };
    let builder = Authorizer::builder(name, &JUDGE).settings(settings).grants(grants);
    builder.limits(limits).build().await.unwrap()
}

fn user(name: &str, groups: &[&str]) -> Identity {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let name = name.to_owned();
    Identity::try_from(Claims {
        name,
        groups,
        ..Claims::default()
    })
    .unwrap()
}

fn told(script: &str) -> Arc<AuthRequest> {
    request(&[("x-judge", script)])
}

/// The status that the client gets: 200 if the request goes on.
fn status(authorization: &Authorization) -> u16 {
    match &authorization.outcome {
        Ok(_) => 200,
        Err(refusal) => refusal.status().as_u16(),
    }
}

#[tokio::test]
async fn each_answer_has_its_status_and_no_failure_is_a_permission() {
    let authorizers = Authorizers::new([judge("judge", json!({})).await]);
    for (script, expected, verdict) in [
        ("", 200, "permit"),
        ("permit 0 role=editor", 200, "permit"),
        ("attributes 16 4096", 200, "permit"),
        ("name 256", 200, "permit"),
        ("forbid not today", 403, "forbid"),
        ("challenge", 403, "forbid"),
        ("hide", 404, "hide"),
        ("respond 418", 418, "respond"),
        ("unavailable", 503, "unavailable"),
        // What breaks the rules is a failure of the plugin.
        ("attributes 17 1", 503, "fail"),
        ("attributes 1 4097", 503, "fail"),
        ("name 257", 503, "fail"),
        ("name 0", 503, "fail"),
        ("control", 503, "fail"),
        ("respond 99", 503, "fail"),
        ("respond 302 connection=close", 503, "fail"),
        ("panic", 503, "fail"),
        ("loop", 503, "fail"),
    ] {
        let decided = authorizers
            .decide_as(&told(script), Some((user("alice", &[]), "hub")))
            .await;
        let [step] = decided.steps.as_slice() else {
            panic!("{script:?}: {decided:?}")
        };
        assert_eq!(
            (status(&decided), step.verdict.label()),
            (expected, verdict),
            "{script:?}: {step:?}"
        );
        assert_eq!(&*step.name, "judge");
    }
}

#[tokio::test]
async fn it_is_told_who_the_user_is_who_says_so_and_what_is_granted() {
    let authorizers = Authorizers::new([judge("judge", json!({ "anonymous": true })).await]);
    let mut asked = (*told("told")).clone();
    asked.route = Some("/api".into());
    let decided = authorizers
        .decide_as(&Arc::new(asked), Some((user("alice", &["a", "b"]), "hub")))
        .await;
    let permits = decided.outcome.unwrap();
    for (name, expected) in [
        ("user", Some("alice")),
        ("groups", Some("a,b")),
        ("admin", Some("false")),
        ("authenticator", Some("hub")),
        ("route", Some("/api")),
        ("other", None),
    ] {
        assert_eq!(permits.attribute("judge", name), expected, "{name}");
        assert_eq!(permits.attribute("other", name), None, "{name}");
    }
    let reads = decided.steps[0].reads.iter().map(|read| read.attribute.to_string());
    assert_eq!(Vec::from_iter(reads), ["header x-judge", "route"]);
    let nobody = authorizers.decide_as(&told("told"), None).await.outcome.unwrap();
    assert_eq!(nobody.attribute("judge", "user"), Some("nobody"));
    // The Authorization header is the authenticators' affair.
    let ungranted = Authorizer::builder("judge", &JUDGE).build().await.unwrap();
    assert!(ungranted.grants().headers.is_empty());
    let decided = Authorizers::new([ungranted])
        .decide_as(&told("forbid"), Some((user("alice", &[]), "hub")))
        .await;
    assert_eq!(status(&decided), 200, "what isn't granted isn't there: {decided:?}");
}

#[tokio::test]
async fn they_are_asked_in_order_and_the_first_denial_ends_it() {
    let first = judge("first", json!({})).await;
    let second = judge("second", json!({ "header": "x-second" })).await;
    let authorizers = Authorizers::new([first, second]);
    for (one, other, expected, asked) in [
        ("permit 0 a=1", "permit 0 a=2", 200, &["first", "second"][..]),
        ("hide", "forbid", 404, &["first"]),
        ("panic", "permit 0", 503, &["first"]),
        ("permit 0", "forbid", 403, &["first", "second"]),
        ("permit 0", "panic", 503, &["first", "second"]),
    ] {
        let asked_about = request(&[("x-judge", one), ("x-second", other)]);
        let decided = authorizers
            .decide_as(&asked_about, Some((user("alice", &[]), "hub")))
            .await;
        assert_eq!(status(&decided), expected, "{one} {other}");
        let names = decided.steps.iter().map(|step| &*step.name);
        assert_eq!(Vec::from_iter(names), asked, "{one} {other}");
        if let Ok(permits) = decided.outcome {
            assert_eq!(permits.iter().len(), 2);
            assert_eq!(permits.attribute("first", "a"), Some("1"));
            assert_eq!(permits.attribute("second", "a"), Some("2"));
        }
    }
    let nobody_asks = Authorizers::default().decide_as(&told("forbid"), None).await;
    assert_eq!(status(&nobody_asks), 200);
}

/// Whatever an authorizer is told about a user is a part of what a reused decision is for.
#[tokio::test]
async fn a_permit_is_never_reused_for_another_user() {
    let authorizers = Authorizers::new([judge("judge", json!({ "anonymous": true })).await]);
    let script = told("members staff 60");
    let ask = async |who: Option<(Identity, &str)>| {
        let decided = authorizers.decide_as(&script, who).await;
        (status(&decided), decided.steps[0].reused.is_some())
    };
    let member = || user("alice", &["staff"]);
    assert_eq!(ask(Some((member(), "hub"))).await, (200, false));
    assert_eq!(ask(Some((member(), "hub"))).await, (200, true));
    let admin = Identity::try_from(Claims {
        name: "alice".to_owned(),
        groups: vec!["staff".to_owned()],
        admin: true,
        ..Claims::default()
    });
    let described = Identity::try_from(Claims {
        name: "alice".to_owned(),
        groups: vec!["staff".to_owned()],
        attributes: vec![("a".to_owned(), "b".to_owned())],
        ..Claims::default()
    });
    // Others whose texts are the same in another order or division, too.
    for (who, expected) in [
        (Some((user("bob", &[]), "hub")), 403),
        (Some((user("bob", &["staff"]), "hub")), 200),
        (Some((user("alice", &[]), "hub")), 403),
        (Some((user("alice", &["staff", "x"]), "hub")), 200),
        (Some((user("alic", &["estaff"]), "hub")), 403),
        (Some((member(), "other")), 200),
        (Some((admin.unwrap(), "hub")), 200),
        (Some((described.unwrap(), "hub")), 200),
        (None, 401),
    ] {
        let words = format!("{who:?}");
        assert_eq!(ask(who).await, (expected, false), "{words}");
    }
    assert_eq!(ask(Some((member(), "hub"))).await, (200, true));
    // Without a life of its own, each request needs its own decision.
    for _ in 0..2 {
        let decided = authorizers.decide_as(&told("permit 0"), Some((member(), "hub"))).await;
        assert!(decided.steps[0].reused.is_none(), "{decided:?}");
    }
}

#[tokio::test]
async fn one_plugin_may_have_decided_differently_for_equal_users_of_another_configuration() {
    let script = told("members staff 60");
    let member = || Some((user("alice", &["staff"]), "hub"));
    for name in ["one", "other"] {
        let authorizers = Authorizers::new([judge(name, json!({})).await]);
        let decided = authorizers.decide_as(&script, member()).await;
        assert!(decided.steps[0].reused.is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_component_is_configured_for_its_own_role_alone() {
    let built = portcullis::Authenticator::builder("judge", &JUDGE).build().await;
    assert_eq!(built.unwrap_err(), ConfigureError::Role(Role::Authenticator));
    let built = Authorizer::builder("simple", &common::built_in("simple")).build().await;
    assert_eq!(built.unwrap_err(), ConfigureError::Role(Role::Authorizer));
    assert_eq!(
        (JUDGE.role(), JUDGE.roles()),
        (Role::Authorizer, &[Role::Authorizer][..])
    );
    let disabled = Authorizer::disabled("judge", Grants::of_role(Role::Authorizer), "it is tested");
    let decided = Authorizers::new([disabled])
        .decide_as(&told(""), Some((user("alice", &[]), "hub")))
        .await;
    assert_eq!(status(&decided), 503);
    assert!(matches!(&decided.steps[0].verdict, Verdict::Fail(why) if why.contains("it is tested")));
}

/// What the layer with this authorizer answers, and what the application sees of the permit.
async fn answered(layer: AuthenticateLayer, headers: &[(&str, &str)]) -> (StatusCode, http::HeaderMap, String) {
    let seen = |permits: Option<Extension<Permits>>| async move {
        let role = permits.and_then(|permits| permits.attribute("judge", "role").map(str::to_owned));
        role.unwrap_or_else(|| "no role".to_owned())
    };
    let mut service = Router::new().fallback(seen).layer(layer);
    let request = headers.iter().fold(Request::get("/"), |request, (name, value)| {
        request.header(*name, *value)
    });
    let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn the_layer_asks_authorizers_after_the_gate() {
    let options = Options::new("session", false, Duration::from_secs(60)).unwrap();
    let keys = KeyRing::new([Key::generate().unwrap()]).unwrap();
    let sessions = Sessions::new(keys, options);
    let gate = Gate::new(Chain::new([simple(json!({})).await]), Some(Arc::new(sessions)));
    let layer = AuthenticateLayer::new(gate).authorizers([judge("judge", json!({})).await]);
    let alice = basic("alice", "");
    for (script, expected, body) in [
        ("permit 0 role=editor", 200, "editor"),
        ("", 200, "no role"),
        ("forbid", 403, r#"{"error":"Forbidden"}"#),
        ("hide", 404, r#"{"error":"Not found"}"#),
        ("respond 302 location=/elsewhere", 302, "a page of its own"),
        ("panic", 503, r#"{"error":"Authorization is unavailable"}"#),
        // It would plant a session.
        (
            "respond 200 set-cookie=session=x",
            503,
            r#"{"error":"Authorization is unavailable"}"#,
        ),
    ] {
        let headers = [("authorization", alice.as_str()), ("x-judge", script)];
        let (status, _, found) = answered(layer.clone(), &headers).await;
        assert_eq!((status.as_u16(), found.as_str()), (expected, body), "{script}");
    }
    // Nobody is asked about a request that isn't authenticated.
    let (status, ..) = answered(layer.clone(), &[("x-judge", "hide")]).await;
    assert_eq!(status, 401);
    let (status, headers, _) = answered(layer.clone().optional(), &[("x-judge", "permit 0")]).await;
    assert_eq!(status, 401, "by default, nobody may do anything without a user");
    assert!(headers.contains_key("www-authenticate"), "{headers:?}");
    let lenient = judge("judge", json!({ "anonymous": true })).await;
    let optional = layer.authorizers([lenient]).optional();
    for (script, expected) in [
        ("permit 0 role=guest", 200),
        ("forbid", 401),
        ("hide", 404),
        ("loop", 503),
    ] {
        let (status, ..) = answered(optional.clone(), &[("x-judge", script)]).await;
        assert_eq!(status, expected, "{script}");
    }
}

/// A refusal that isn't the authorizers' stays what it is.
#[tokio::test]
async fn who_has_failed_to_authenticate_stays_refused() {
    let authorizers = Authorizers::new([judge("judge", json!({ "anonymous": true })).await]);
    for (refusal, expected) in [
        (Refusal::Forbid { challenge: None }, 403),
        (
            Refusal::Unauthenticated {
                credentials: true,
                challenges: Vec::new(),
            },
            401,
        ),
        (
            Refusal::Unavailable {
                role: Role::Authenticator,
                retry_after: None,
            },
            503,
        ),
    ] {
        let outcome = portcullis::Outcome::Refuse(refusal);
        let decided = authorizers.decide(&told("permit 60"), &outcome).await;
        assert_eq!(status(&decided), expected);
        assert!(decided.steps.is_empty(), "nobody was asked");
    }
}
