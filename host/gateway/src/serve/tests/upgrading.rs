//! Upgrades are authenticated first, and are then tunnelled.

use super::*;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_forwarded_both_ways_once_the_upstream_accepts() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client
        .request("GET /socket", &format!("{ALICE}{UPGRADE}X_Forwarded_User: mallory\r\n"))
        .await;
    // Bytes that the client sends early are held back until the upstream has accepted.
    client.send("early ").await;
    let mut server = upstream.accept().await;
    let head = server.head().await;
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: x",
        "x-forwarded-user: alice",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(!head.contains("mallory") && !head.contains("authorization"), "{head}");
    assert!(server.is_silent());
    server.send(&format!("{SWITCH}hello")).await;
    let head = client.head().await;
    assert!(
        head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: websocket\r\n"),
        "{head}"
    );
    assert_eq!(client.text(5).await, "hello");
    client.send("late").await;
    assert_eq!(server.text(10).await, "early late");
    drop(server);
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_without_a_user_never_reaches_the_upstream() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    assert!(gateway.ask("GET /socket", UPGRADE).await.starts_with("http/1.1 401 "));
    assert!(upstream.is_unvisited());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_may_refuse_the_upgrade() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client.request("GET /socket", &format!("{ALICE}{UPGRADE}")).await;
    let mut server = upstream.accept().await;
    server.head().await;
    server
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        .await;
    assert!(client.head().await.starts_with("http/1.1 403 "));
    assert_eq!(client.text(2).await, "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_the_client_did_not_offer_is_a_502() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    for headers in [
        "Connection: upgrade\r\nUpgrade: other\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "",
    ] {
        let mut client = gateway.connect().await;
        client.request("GET /socket", &format!("{ALICE}{headers}")).await;
        let mut server = upstream.accept().await;
        assert!(!server.head().await.contains("h2c"));
        server.send(SWITCH).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 502 "), "{headers}: {head}");
    }
}
