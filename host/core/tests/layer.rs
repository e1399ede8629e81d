//! The responses of a service behind the layer. The application's header fields stay where the authenticator and the
//! session add theirs.

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

use axum::Router;
use axum::body::Body;
use axum::response::AppendHeaders;
use http::HeaderMap;
use http::Request;
use portcullis::AuthenticateLayer;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::Sessions;
use serde_json::json;
use tower::Service;

use self::common::SCRIPTED;
use self::common::basic;
use self::common::simple;

type Fields = &'static [(&'static str, &'static str)];

/// The header of the response if the application behind the gate sends these fields.
async fn answered(gate: &Gate, request: &[(&str, &str)], application: Fields) -> HeaderMap {
    let mut service = Router::new()
        .fallback(move || async move { AppendHeaders(application.to_vec()) })
        .layer(AuthenticateLayer::new(gate.clone()));
    let request = request.iter().fold(Request::get("/"), |request, (name, value)| {
        request.header(*name, *value)
    });
    let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
    response.headers().clone()
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

/// A gate with sessions.
async fn with_sessions() -> Gate {
    let simple = simple(json!({"password": "secret", "valid_for": "1h"})).await;
    let options = Options::new("session", false, Duration::from_secs(3600)).unwrap();
    let keys = KeyRing::new([Key::generate().unwrap()]).unwrap();
    Gate::new(Chain::new([simple]), Some(Arc::new(Sessions::new(keys, options))))
}

#[tokio::test]
async fn cookies_and_challenges_of_application_and_authenticator_stand_side_by_side() {
    let scripted = Authenticator::builder("scripted", &SCRIPTED).build().await.unwrap();
    let gate = Gate::new(Chain::new([scripted]), None);
    let script = "Script grant,set-cookie=plugin=1,www-authenticate=Script,x-a=plugin";
    let application: Fields = &[
        ("set-cookie", "first=1"),
        ("set-cookie", "second=1"),
        ("www-authenticate", "Basic"),
        ("x-a", "application"),
        ("x-b", "application"),
    ];
    let headers = answered(&gate, &[("authorization", script)], application).await;
    assert_eq!(values(&headers, "set-cookie"), ["first=1", "second=1", "plugin=1"]);
    assert_eq!(values(&headers, "www-authenticate"), ["Basic", "Script"]);
    assert_eq!(
        values(&headers, "x-a"),
        ["plugin"],
        "the authenticator replaces other fields"
    );
    assert_eq!(values(&headers, "x-b"), ["application"]);
}

#[tokio::test]
async fn a_response_with_a_session_cookie_is_for_its_client_only() {
    let gate = with_sessions().await;
    let alice = basic("alice", "secret");
    let cases: [(Fields, &[&str]); 5] = [
        (&[], &["private"]),
        (&[("cache-control", "public, max-age=60")], &["private, max-age=60"]),
        (&[("cache-control", "s-maxage=60")], &["private"]),
        (&[("cache-control", "no-store")], &["no-store"]),
        (&[("cdn-cache-control", "max-age=60")], &["private"]),
    ];
    for (application, cache_control) in cases {
        let headers = answered(&gate, &[("authorization", &alice)], application).await;
        assert_eq!(values(&headers, "set-cookie").len(), 1, "{headers:?}");
        assert_eq!(values(&headers, "cache-control"), cache_control, "{application:?}");
        assert!(!headers.contains_key("cdn-cache-control"));
    }
}

#[tokio::test]
async fn a_response_without_one_is_cached_as_the_application_says() {
    let gate = with_sessions().await;
    let headers = answered(&gate, &[("authorization", &basic("alice", "secret"))], &[]).await;
    let session = values(&headers, "set-cookie")[0].split(';').next().unwrap();
    let application: Fields = &[("cache-control", "public, max-age=60"), ("set-cookie", "own=1")];
    let headers = answered(&gate, &[("cookie", session)], application).await;
    assert_eq!(values(&headers, "cache-control"), ["public, max-age=60"]);
    assert_eq!(values(&headers, "set-cookie"), ["own=1"]);
}
