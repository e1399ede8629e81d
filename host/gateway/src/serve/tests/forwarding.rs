//! What the upstream receives, and which parts of its response the client receives.

use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Sends a request with these headers. Returns its head as the upstream receives it.
async fn forwarded(gateway: &Running, upstream: &Upstream, line: &str, headers: &str) -> String {
    let mut client = gateway.connect().await;
    client.request(line, headers).await;
    let mut server = upstream.accept().await;
    let head = server.head().await;
    server.send(OK).await;
    assert!(client.head().await.starts_with("http/1.1 200 "));
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_receives_the_user_but_not_the_credentials() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let forged = "X_Forwarded_User: mallory\r\nX-Forwarded-Groups: admin\r\nRemote-User: mallory\r\n\
                    X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nConnection: x-forwarded-user, x-mine\r\n\
                    X-Mine: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n";
    let head = forwarded(&gateway, &upstream, "GET /%61/b?c=%zz", &format!("{ALICE}{forged}")).await;
    let mut lines = head.trim_end().lines().collect::<Vec<_>>();
    lines.retain(|line| !line.starts_with("x-request-id: "));
    lines.sort_unstable();
    let address = "x-forwarded-for: 127.0.0.1";
    let expected = [
        "get /%61/b?c=%zz http/1.1",
        "host: app.example",
        address,
        "x-forwarded-host: app.example",
        "x-forwarded-port: 80",
        "x-forwarded-proto: http",
        "x-forwarded-user: alice",
        "x-kept: 1",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_with_a_basic_password_gets_it_and_no_cookies() {
    let upstream = Upstream::start().await;
    let identity = "[routes.identity]\nbasic_password = \"env:PASSWORD\"";
    let gateway = Running::start("", &protected("/", &upstream, identity)).await;
    let mut client = gateway.connect().await;
    client.request("GET /", &format!("{ALICE}Cookie: theirs=1\r\n")).await;
    let mut server = upstream.accept().await;
    let head = server.raw_head().await;
    assert!(
        head.contains("\r\nauthorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\n"),
        "{head}"
    );
    assert!(!head.contains("cookie"), "{head}");
    server
        .send("HTTP/1.1 200 OK\r\nSet-Cookie: theirs=2\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(!client.head().await.contains("set-cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_name_that_a_header_would_change_is_refused() {
    let upstream = Upstream::start().await;
    let identity = "[routes.identity]\nuser = \"X-User\"";
    let gateway = Running::start("", &protected("/", &upstream, identity)).await;
    // " alice:x"
    let head = gateway.ask("GET /", "Authorization: Basic IGFsaWNlOng=\r\n").await;
    assert!(head.starts_with("http/1.1 401 "), "{head}");
    assert!(upstream.is_unvisited());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_request_keeps_its_credentials_but_no_identity_headers() {
    let upstream = Upstream::start().await;
    let routes = route("/open", &upstream, "public = true") + &protected("/maybe", &upstream, "optional = true");
    let gateway = Running::start("", &routes).await;
    for line in ["GET /open", "GET /maybe"] {
        let headers = "X-Token: cluster\r\nCookie: a=1\r\nX.Forwarded.User: mallory\r\n";
        let head = forwarded(&gateway, &upstream, line, headers).await;
        assert!(
            head.contains("\r\nx-token: cluster\r\n") && head.contains("\r\ncookie: a=1\r\n"),
            "{head}"
        );
        assert!(!head.contains("mallory"), "{head}");
    }
    let head = forwarded(&gateway, &upstream, "GET /open", "Authorization: token cluster\r\n").await;
    assert!(head.contains("\r\nauthorization: token cluster\r\n"), "{head}");
    let head = forwarded(&gateway, &upstream, "GET /maybe", ALICE).await;
    assert!(
        head.contains("\r\nx-forwarded-user: alice\r\n") && !head.contains("authorization"),
        "{head}"
    );
    assert!(
        gateway
            .ask("GET /maybe", "Authorization: Basic !!!\r\n")
            .await
            .starts_with("http/1.1 401 ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forwarded_headers_of_a_trusted_proxy_are_passed_on() {
    let upstream = Upstream::start().await;
    let server = "trusted_proxies = [\"127.0.0.1/32\"]";
    let gateway = Running::start(server, &protected("/", &upstream, "")).await;
    let headers = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-User: mallory\r\n";
    let head = forwarded(&gateway, &upstream, "GET /", &format!("{ALICE}{headers}")).await;
    assert!(head.contains("\r\nx-forwarded-for: 6.6.6.6, 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-forwarded-proto: https\r\n"), "{head}");
    assert!(head.contains("\r\nx-forwarded-user: alice\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hop_by_hop_headers_of_a_response_are_removed() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client.request("GET /", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    let theirs = "Connection: x-theirs\r\nX-Theirs: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n";
    server
        .send(&format!(
            "HTTP/1.1 418 Teapot\r\n{theirs}X-Kept: 1\r\nContent-Length: 2\r\n\r\nno"
        ))
        .await;
    let head = client.head().await;
    assert!(
        head.starts_with("http/1.1 418 ") && head.contains("\r\nx-kept: 1\r\n"),
        "{head}"
    );
    for name in ["connection", "x-theirs", "keep-alive", "proxy-authenticate"] {
        assert!(!head.contains(&format!("\r\n{name}:")), "{head}");
    }
    assert_eq!(client.text(2).await, "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_http_2_is_forwarded_as_http_1_1() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Empty<bytes::Bytes>>();
    let request = http::Request::get(format!("http://{}/a", gateway.address))
        .version(http::Version::HTTP_2)
        .header("authorization", "Basic YWxpY2U6eA==")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Empty::new())
        .unwrap();
    let response = tokio::spawn(client.request(request));
    let mut server = upstream.accept().await;
    let head = server.head().await;
    assert!(head.starts_with("get /a http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", gateway.address)), "{head}");
    assert!(head.contains("\r\ncookie: a=1; b=2\r\n"), "{head}");
    server
        .send("HTTP/1.1 418 Teapot\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n")
        .await;
    let response = soon(response).await.unwrap().unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-kept"]),
        (418, &"1".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_without_a_response_is_a_502_or_a_504() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("", &protected("/", &upstream, "timeout = \"100ms\"")).await;
    let mut client = gateway.connect().await;

    client.request("GET /", ALICE).await;
    let server = upstream.accept().await;
    assert!(client.head().await.starts_with("http/1.1 504 "));
    drop(server);

    let mut client = gateway.connect().await;
    client.request("GET /", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    drop(server);
    assert!(client.head().await.starts_with("http/1.1 502 "));

    drop(upstream);
    assert!(gateway.ask("GET /", ALICE).await.starts_with("http/1.1 502 "));
}
