//! Envoy's Check requests over gRPC, and the responses to them. The client of the tests can also leave out what Envoy
//! always sends.

use std::collections::HashMap;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portcullis_envoy::Address;
use portcullis_envoy::AddressKind;
use portcullis_envoy::AttributeContext;
use portcullis_envoy::CHECK;
use portcullis_envoy::CheckRequest;
use portcullis_envoy::CheckResponse;
use portcullis_envoy::HeaderMap;
use portcullis_envoy::HeaderValue;
use portcullis_envoy::HttpRequest;
use portcullis_envoy::HttpResponse;
use portcullis_envoy::OkHttpResponse;
use portcullis_envoy::Peer;
use portcullis_envoy::Pipe;
use portcullis_envoy::Request;
use portcullis_envoy::SocketAddress;

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

async fn trusting_gateway() -> Running {
    gateway("trusted_proxies = [\"127.0.0.1\"]", "").await
}

/// A Check request about a request from 6.6.6.6, with its headers one by one.
fn check_request(path: &str, headers: &[(&str, &str)]) -> CheckRequest {
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

/// The same, with repeated headers joined as Envoy joins them.
fn joined_check_request(path: &str, headers: &[(&str, &str)]) -> CheckRequest {
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
            }),
            request: Some(Request { http: Some(http) }),
        }),
    }
}

fn socket(address: &str) -> Address {
    Address {
        address: Some(AddressKind::SocketAddress(SocketAddress {
            address: address.to_owned(),
        })),
    }
}

async fn check(gateway: &Running, request: impl tonic::IntoRequest<CheckRequest>) -> CheckResponse {
    soon(answered(gateway, request)).await.unwrap()
}

/// The answer, or the error for which Envoy would go by `failure_mode_allow`.
async fn answered(
    gateway: &Running,
    request: impl tonic::IntoRequest<CheckRequest>,
) -> Result<CheckResponse, tonic::Status> {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let origin = format!("http://{}", gateway.ext_authz.unwrap()).parse().unwrap();
    let mut client = tonic::client::Grpc::with_origin(client, origin);
    client.ready().await.unwrap();
    let response = client
        .unary(
            request.into_request(),
            CHECK.parse().unwrap(),
            tonic_prost::ProstCodec::default(),
        )
        .await?;
    Ok(response.into_inner())
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
    }
}

fn allowed(response: CheckResponse) -> OkHttpResponse {
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("{other:?}"),
    }
}

fn headers_set(ok: &OkHttpResponse) -> Vec<(&str, &str)> {
    let headers = ok.headers.iter().map(|option| option.header.as_ref().unwrap());
    headers
        .map(|header| (header.key.as_str(), header.value.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_is_told_which_headers_to_set_and_remove() {
    let gateway = trusting_gateway().await;
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
    for request in [check_request("/a?b=c", &sent), joined_check_request("/a?b=c", &sent)] {
        let ok = allowed(check(&gateway, request).await);
        assert_eq!(headers_set(&ok), [("x-admin", "false"), ("x-forwarded-user", "alice")]);
        for name in ["x_forwarded.user", "x-forwarded-groups", "remote-user", "authorization"] {
            assert!(ok.headers_to_remove.iter().any(|removed| removed == name), "{name}");
        }
        assert!(
            !ok.headers_to_remove
                .iter()
                .any(|name| name == "cookie" || name == "x-forwarded-user")
        );
    }
    let ok = allowed(check(&gateway, check_request("/open", &[PROTO, CREDENTIALS])).await);
    assert_eq!(headers_set(&ok), []);
    let mut removed = ok.headers_to_remove;
    removed.sort();
    assert_eq!(removed, ["x-admin", "x-forwarded-groups", "x-forwarded-user"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_read_as_it_is_on_the_public_listener() {
    let gateway = trusting_gateway().await;
    for (path, expected) in table() {
        let status = status(&check(&gateway, check_request(&path, &[PROTO])).await);
        assert_eq!(status.to_string(), expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_parameters_with_credentials_are_removed() {
    let granted = "[authenticators.simple.grants]\nheaders = [\"authorization\"]\nquery = [\"token\"]\n";
    let gateway = gateway("trusted_proxies = [\"127.0.0.1\"]", granted).await;
    let ok = allowed(check(&gateway, check_request("/a?token=x", &[PROTO, CREDENTIALS])).await);
    assert_eq!(ok.query_parameters_to_remove, ["token"]);
    let ok = allowed(check(&gateway, check_request("/open?token=x", &[PROTO])).await);
    assert_eq!(ok.query_parameters_to_remove, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_check_request_is_refused() {
    let gateway = trusting_gateway().await;
    let open = || check_request("/open", &[PROTO]);
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
        address: Some(AddressKind::Pipe(Pipe::default())),
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
            status(&check(&gateway, check_request("/open", headers)).await),
            400,
            "without {what}"
        );
    }
    let two = joined_check_request("/a", &[PROTO, ("authorization", "Basic YWxpY2U6eA==,Basic Ym9iOng=")]);
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
async fn the_size_of_a_check_request_is_limited() {
    let gateway = trusting_gateway().await;
    let long = "x".repeat(33 * 1024);
    assert_eq!(
        status(&check(&gateway, check_request("/open", &[PROTO, ("a", &long)])).await),
        400
    );
    let many = vec![("a", ""); 10_000];
    assert_eq!(
        status(&check(&gateway, check_request("/open", &[&[PROTO][..], &many].concat())).await),
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
    assert!(soon(answered(&gateway, body(2 * 1024 * 1024))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_carries_the_response_for_the_client() {
    let gateway = trusting_gateway().await;
    let response = check(&gateway, check_request("/a", &[PROTO])).await;
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
async fn only_a_front_may_send_check_requests() {
    let by_address = gateway("trusted_proxies = [\"10.0.0.1\"]", "").await;
    assert_eq!(status(&check(&by_address, check_request("/open", &[PROTO])).await), 403);
    let by_token = gateway("", "proxy_token = \"env:KEY\"\n").await;
    for (token, expected) in [(None, 403), (Some("00"), 403), (Some(KEY), 200)] {
        let mut request = tonic::Request::new(check_request("/open", &[PROTO, ("x-portcullis-token", KEY)]));
        if let Some(token) = token {
            request
                .metadata_mut()
                .insert("x-portcullis-token", token.parse().unwrap());
        }
        assert_eq!(status(&check(&by_token, request).await), expected, "{token:?}");
    }
}
