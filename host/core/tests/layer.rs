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

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::response::AppendHeaders;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::StatusCode;
use http::header;
use http_body_util::BodyExt;
use portcullis::AuthRequest;
use portcullis::AuthenticateLayer;
use portcullis::Authenticated;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Gate;
use portcullis::Limits;
use portcullis::session::Key;
use portcullis::session::KeyRing;
use portcullis::session::Options;
use portcullis::session::Sessions;
use serde_json::json;
use tower::Service;
use tower::ServiceBuilder;
use tower_http::add_extension::AddExtensionLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use self::common::SCRIPTED;
use self::common::basic;
use self::common::hostile;
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

/// Row H11 of the field reports: the layer between two common layers of tower-http, around and within.
#[tokio::test]
async fn the_layer_stands_anywhere_in_a_stack_of_layers() {
    let gate = with_sessions().await;
    let layer = AuthenticateLayer::new(gate);
    let answer = |_: Request<Body>| async { Ok::<_, Infallible>(http::Response::new(Body::from("x".repeat(100)))) };
    macro_rules! stands_in {
        ($($name:literal: $other:expr;)*) => {
            $({
                let stack = ServiceBuilder::new().layer($other).layer(layer.clone()).layer($other);
                let mut service = stack.service(tower::service_fn(answer));
                let refused = service.call(Request::new(Body::empty())).await.unwrap();
                assert_eq!(refused.status(), 401, $name);
                let body = refused.into_body().collect().await.map_err(|_| $name).unwrap().to_bytes();
                assert!(body.starts_with(b"{"), "{}: {body:?}", $name);
                let request = Request::get("/").header("authorization", basic("alice", "secret"));
                let admitted = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(admitted.status(), 200, $name);
                let body = admitted.into_body().collect().await.map_err(|_| $name).unwrap().to_bytes();
                assert_eq!(body.len(), 100, $name);
            })*
        };
    }
    stands_in! {
        "trace": TraceLayer::new_for_http();
        "compression": CompressionLayer::new();
        "timeout": TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(60));
        "cors": CorsLayer::permissive();
        "headers": SetResponseHeaderLayer::overriding(header::SERVER, HeaderValue::from_static("x"));
        "panics": CatchPanicLayer::new();
        "boxed bodies": MapResponseBodyLayer::new(Body::new);
        "extensions": AddExtensionLayer::new(1);
        "paths": NormalizePathLayer::trim_trailing_slash();
        "secrets": SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION]);
    }
}

#[tokio::test]
async fn an_optional_layer_lets_in_who_has_no_credentials_but_not_who_has_wrong_ones() {
    let user = |user: Option<Extension<Authenticated>>| async move {
        user.map_or_else(|| "guest".to_owned(), |user| user.identity().name().to_owned())
    };
    let layer = AuthenticateLayer::new(with_sessions().await).optional();
    let mut service = Router::new().fallback(user).layer(layer);
    for (authorization, status, expected) in [
        (None, 200, "guest"),
        (Some(basic("alice", "secret")), 200, "alice"),
        (Some(basic("alice", "wrong")), 401, ""),
    ] {
        let mut request = Request::get("/");
        if let Some(value) = &authorization {
            request = request.header("authorization", value);
        }
        let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{authorization:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(expected.is_empty() || body == expected, "{authorization:?}: {body:?}");
    }
}

/// Row H12 of the field reports: the address is what the application says.
#[tokio::test]
async fn the_applications_function_makes_the_request() {
    let limits = Limits {
        rate: Some("1/h".parse().unwrap()),
        ..Limits::default()
    };
    let gate = Gate::new(Chain::new([hostile(limits).await]), None);
    let layer = AuthenticateLayer::new(gate).with_request(|head| AuthRequest {
        client_address: head.extensions.get::<IpAddr>().copied(),
        ..AuthRequest::from_parts(head)
    });
    let mut service = Router::new().fallback(|| async {}).layer(layer);
    for (client, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("192.0.2.1", 429),
    ] {
        let address: IpAddr = client.parse().unwrap();
        let request = Request::get("/").header("x-do", "nothing bad").extension(address);
        let request = request.body(Body::empty()).unwrap();
        let response = service.call(request).await.unwrap();
        assert_eq!(response.status(), status, "{client}");
    }
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
