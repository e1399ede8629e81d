//! What Envoy asks over gRPC and what it hears, said by a client that can leave out what Envoy never does.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::config::core::v3::Pipe;
use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::config::core::v3::address;
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::OkHttpResponse;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Request;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;

use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const CREDENTIALS: (&str, &str) = ("authorization", "Basic YWxpY2U6eA==");
const PROTO: (&str, &str) = ("x-forwarded-proto", "http");

const ROUTES: &str = r#"
[[routes]]
path = "/"
authenticators = ["simple"]
[routes.identity]
admin = "X-Admin"
[[routes]]
path = "/open"
public = true
"#;

async fn gateway(server: &str, section: &str) -> Running {
    Running::start(
        server,
        &format!("[ext_authz]\nlisten = \"127.0.0.1:0\"\n{section}{ROUTES}"),
    )
    .await
}

async fn trusting() -> Running {
    gateway("trusted_proxies = [\"127.0.0.1\"]", "").await
}

/// A request from 6.6.6.6, with its headers one by one.
fn asked(path: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let headers = headers.iter().map(|(key, value)| HeaderValue {
        key: (*key).to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    });
    with_http(|http| {
        http.path = path.to_owned();
        http.header_map = Some(HeaderMap {
            headers: headers.collect(),
        });
    })
}

/// The same, with the headers as Envoy joins them.
fn joined(path: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let headers = headers
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    with_http(|http| {
        http.path = path.to_owned();
        http.headers = HashMap::from_iter(headers);
    })
}

fn with_http(change: impl FnOnce(&mut HttpRequest)) -> CheckRequest {
    let mut http = HttpRequest {
        method: "GET".to_owned(),
        host: "app.example".to_owned(),
        scheme: "http".to_owned(),
        ..HttpRequest::default()
    };
    change(&mut http);
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                address: Some(socket("6.6.6.6")),
                ..Peer::default()
            }),
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            ..AttributeContext::default()
        }),
    }
}

fn socket(address: &str) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: address.to_owned(),
            ..SocketAddress::default()
        })),
    }
}

async fn check(gateway: &Running, request: impl tonic::IntoRequest<CheckRequest>) -> CheckResponse {
    let address = format!("http://{}", gateway.ext_authz.unwrap());
    let mut client = soon(AuthorizationClient::connect(address)).await.unwrap();
    soon(client.check(request)).await.unwrap().into_inner()
}

/// The status of a refusal, or 200.
fn status(response: &CheckResponse) -> i32 {
    let code = response.status.as_ref().unwrap().code;
    match response.http_response.as_ref().unwrap() {
        HttpResponse::OkResponse(_) => {
            assert_eq!(code, 0);
            200
        }
        HttpResponse::DeniedResponse(denied) => {
            assert!([7, 16].contains(&code), "{code}");
            denied.status.as_ref().unwrap().code
        }
        HttpResponse::ErrorResponse(_) => panic!("Envoy would go by failure_mode_allow"),
    }
}

fn allowed(response: CheckResponse) -> OkHttpResponse {
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("{other:?}"),
    }
}

fn set(ok: &OkHttpResponse) -> Vec<(&str, &str)> {
    let headers = ok.headers.iter().map(|option| option.header.as_ref().unwrap());
    headers
        .map(|header| (header.key.as_str(), header.value.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_hears_what_to_set_and_what_to_remove() {
    let gateway = trusting().await;
    let sent = [
        PROTO,
        CREDENTIALS,
        ("x-forwarded-user", "mallory"),
        ("X_Forwarded.User", "mallory"),
        ("x-forwarded-groups", "admin"),
        ("remote-user", "mallory"),
        ("cookie", "a=1"),
        (":path", "/open"),
    ];
    for request in [asked("/a?b=c", &sent), joined("/a?b=c", &sent)] {
        let ok = allowed(check(&gateway, request).await);
        assert_eq!(set(&ok), [("x-admin", "false"), ("x-forwarded-user", "alice")]);
        for name in ["x_forwarded.user", "x-forwarded-groups", "remote-user", "authorization"] {
            assert!(ok.headers_to_remove.iter().any(|removed| removed == name), "{name}");
        }
        assert!(
            !ok.headers_to_remove
                .iter()
                .any(|name| name == "cookie" || name == "x-forwarded-user")
        );
    }
    let ok = allowed(check(&gateway, asked("/open", &[PROTO, CREDENTIALS])).await);
    assert_eq!(set(&ok), []);
    let mut removed = ok.headers_to_remove;
    removed.sort();
    assert_eq!(removed, ["x-admin", "x-forwarded-groups", "x-forwarded-user"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_means_what_it_means_to_the_proxy() {
    let gateway = trusting().await;
    for (path, expected) in table() {
        let status = status(&check(&gateway, asked(&path, &[PROTO])).await);
        assert_eq!(status.to_string(), expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_with_credentials_go() {
    let granted = "[authenticators.simple.grants]\nheaders = [\"authorization\"]\nquery = [\"token\"]\n";
    let gateway = gateway("trusted_proxies = [\"127.0.0.1\"]", granted).await;
    let ok = allowed(check(&gateway, asked("/a?token=x", &[PROTO, CREDENTIALS])).await);
    assert_eq!(ok.query_parameters_to_remove, ["token"]);
    let ok = allowed(check(&gateway, asked("/open?token=x", &[PROTO])).await);
    assert_eq!(ok.query_parameters_to_remove, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_leaves_out_lets_nobody_in() {
    let gateway = trusting().await;
    let open = || asked("/open", &[PROTO]);
    assert_eq!(status(&check(&gateway, open()).await), 200);

    let change = |change: &dyn Fn(&mut AttributeContext)| {
        let mut request = open();
        change(request.attributes.as_mut().unwrap());
        request
    };
    let http = |change: &dyn Fn(&mut HttpRequest)| {
        let mut request = open();
        let attributes = request.attributes.as_mut().unwrap();
        change(attributes.request.as_mut().unwrap().http.as_mut().unwrap());
        request
    };
    let pipe = Address {
        address: Some(address::Address::Pipe(Pipe::default())),
    };
    for (what, request) in [
        ("everything", CheckRequest::default()),
        ("the request", change(&|all| all.request = None)),
        (
            "the HTTP request",
            change(&|all| all.request = Some(Request::default())),
        ),
        ("the source", change(&|all| all.source = None)),
        ("its address", change(&|all| all.source = Some(Peer::default()))),
        (
            "an address of the internet",
            change(&|all| all.source.as_mut().unwrap().address = Some(pipe.clone())),
        ),
        (
            "a valid address",
            change(&|all| all.source.as_mut().unwrap().address = Some(socket("nowhere"))),
        ),
        ("the method", http(&|http| http.method.clear())),
        ("a valid method", http(&|http| http.method = "GET,GET".into())),
        ("the path", http(&|http| http.path.clear())),
        (
            "a path without a fragment",
            http(&|http| http.path = "/open#/../a".into()),
        ),
        ("a path of one reading", http(&|http| http.path = "/open/../a".into())),
        (
            "a path and not a URL",
            http(&|http| http.path = "http://app.example/open".into()),
        ),
        ("the host", http(&|http| http.host.clear())),
        ("one host", http(&|http| http.host = "a.example,b.example".into())),
        ("the headers", http(&|http| http.header_map = None)),
    ] {
        assert_eq!(status(&check(&gateway, request).await), 400, "without {what}");
    }
    for (what, headers) in [
        ("the scheme", &[][..]),
        ("one scheme", &[PROTO, ("x-forwarded-proto", "https")]),
        ("a valid scheme", &[("x-forwarded-proto", "gopher")]),
        ("a valid name", &[PROTO, ("a b", "1")]),
        ("a valid value", &[PROTO, ("a", "1\r\nb: 2")]),
        (
            "one Authorization",
            &[PROTO, CREDENTIALS, ("authorization", "Basic Ym9iOng=")],
        ),
    ] {
        assert_eq!(
            status(&check(&gateway, asked("/open", headers)).await),
            400,
            "without {what}"
        );
    }
    let two = joined("/a", &[PROTO, ("authorization", "Basic YWxpY2U6eA==,Basic Ym9iOng=")]);
    assert_eq!(status(&check(&gateway, two).await), 400);
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(
            status(&check(&gateway, http(&|http| http.method = method.into())).await),
            405,
            "{method}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_sends_is_bounded() {
    let gateway = trusting().await;
    let long = "x".repeat(33 * 1024);
    assert_eq!(
        status(&check(&gateway, asked("/open", &[PROTO, ("a", &long)])).await),
        400
    );
    let many = vec![("a", ""); 10_000];
    assert_eq!(
        status(&check(&gateway, asked("/open", &[&[PROTO][..], &many].concat())).await),
        400
    );
    let body = |size| {
        with_http(|http| {
            http.path = "/open".to_owned();
            http.headers = HashMap::from([(PROTO.0.to_owned(), PROTO.1.to_owned())]);
            http.raw_body = vec![0; size];
        })
    };
    assert_eq!(status(&check(&gateway, body(1024 * 1024)).await), 200);
    let address = format!("http://{}", gateway.ext_authz.unwrap());
    let mut client = soon(AuthorizationClient::connect(address)).await.unwrap();
    assert!(soon(client.check(body(2 * 1024 * 1024))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_the_client_gets() {
    let gateway = trusting().await;
    let response = check(&gateway, asked("/a", &[PROTO])).await;
    assert_eq!((status(&response), response.status.as_ref().unwrap().code), (401, 16));
    let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else {
        panic!()
    };
    assert_eq!(denied.body, r#"{"error":"Authentication required"}"#);
    let names = denied
        .headers
        .iter()
        .map(|option| option.header.as_ref().unwrap().key.as_str());
    let names = names.collect::<Vec<_>>();
    assert!(
        names.contains(&"www-authenticate") && names.contains(&"cache-control"),
        "{names:?}"
    );
    assert!(!names.contains(&"content-length"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_front_may_ask() {
    let by_address = gateway("trusted_proxies = [\"10.0.0.1\"]", "").await;
    assert_eq!(status(&check(&by_address, asked("/open", &[PROTO])).await), 403);
    let by_token = gateway("", "proxy_token = \"env:KEY\"\n").await;
    for (token, expected) in [(None, 403), (Some("00"), 403), (Some(KEY), 200)] {
        let mut request = tonic::Request::new(asked("/open", &[PROTO, ("x-portcullis-token", KEY)]));
        if let Some(token) = token {
            request
                .metadata_mut()
                .insert("x-portcullis-token", token.parse().unwrap());
        }
        assert_eq!(status(&check(&by_token, request).await), expected, "{token:?}");
    }
}
