//! Responses that the gateway itself produces.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_past_without_credentials() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    for headers in [
        "",
        "X-Forwarded-User: alice\r\n",
        "Authorization: Basic !!!\r\n",
        "Cookie: portcullis=x\r\n",
    ] {
        let head = gateway.ask("GET /", headers).await;
        assert!(head.starts_with("http/1.1 401 "), "{head}");
        assert!(head.contains("\r\nwww-authenticate: basic"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
        assert!(head.contains("\r\ncache-control: no-store\r\n"), "{head}");
        assert!(!head.contains("\r\nlocation:"), "{head}");
    }
    assert!(upstream.is_unvisited());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_to_head_has_no_body() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client.request("HEAD /", "Connection: close\r\n").await;
    assert!(client.head().await.contains("\r\ncontent-length: 35\r\n"));
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_request_is_refused() {
    let upstream = Upstream::start().await;
    let routes = protected("/", &upstream, "") + &route("/open", &upstream, "public = true");
    let gateway = Running::start("", &routes).await;
    for (path, status) in table().filter(|(_, status)| *status != "200") {
        let head = gateway.ask(&format!("GET {path}"), "").await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {head}");
    }
    for (line, status) in [
        ("GET http://other.example/open", "400"),
        ("OPTIONS *", "400"),
        ("TRACE /open", "405"),
        ("CONNECT other.example:443", "405"),
        ("GET /.portcullis/open", "404"),
        ("GET /%2eportcullis/../open", "400"),
    ] {
        let head = gateway.ask(line, ALICE).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{line}: {head}");
    }
    assert!(upstream.is_unvisited());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_page_shows_the_user() {
    let routes = "[[routes]]\npath = \"/\"\nauthenticators = [\"simple\"]\nupstream = \"portcullis:whoami\"\n";
    let gateway = Running::start("", routes).await;
    let mut client = gateway.connect().await;
    client.request("GET /", ALICE).await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let expected = r#"{"admin":false,"attributes":{},"authenticator":"simple","groups":[],"name":"alice"}"#;
    assert_eq!(client.text(expected.len()).await, expected);
    client
        .request("GET /", &format!("{ALICE}Accept: text/html\r\nConnection: close\r\n"))
        .await;
    assert!(
        client
            .head()
            .await
            .contains("\r\ncontent-security-policy: default-src 'none';")
    );
    assert!(client.rest().await.contains("<h1>You are alice</h1>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_until_logout() {
    let upstream = Upstream::start().await;
    let routes = protected("/", &upstream, "") + "[session]\nkeys = [\"env:KEY\"]\n";
    let gateway = Running::start("", &routes).await;

    let mut client = gateway.connect().await;
    client.request("GET /", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    server
        .send("HTTP/1.1 404 Not Found\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n")
        .await;
    // `head` would lower-case the value of the cookie.
    let head = client.raw_head().await;
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert!(head.contains("cache-control: private"), "{head}");

    client
        .request("GET /", &format!("Cookie: {cookie}; theirs=1\r\n"))
        .await;
    let received = server.head().await;
    assert!(received.contains("\r\nx-forwarded-user: alice\r\n"), "{received}");
    assert!(received.contains("\r\ncookie: theirs=1\r\n"), "{received}");
    let name = cookie.split('=').next().unwrap();
    server
        .send(&format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: {name}=evil\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
    let head = client.head().await;
    assert!(
        !head.contains("set-cookie"),
        "an upstream can't set the session: {head}"
    );

    client
        .request("POST /.portcullis/logout", "Content-Length: 0\r\n")
        .await;
    let head = client.head().await;
    assert!(
        head.contains(&format!("set-cookie: {}=;", name.to_ascii_lowercase())),
        "{head}"
    );
}
