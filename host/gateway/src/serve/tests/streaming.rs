//! Bodies are streamed in both directions, and end when either side does.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_streamed() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client.request("GET /", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    server.send_chunk("first").await;
    client.head().await;
    assert_eq!(client.chunk().await, "first");
    server.send_chunk("second").await;
    server.send_chunk("").await;
    assert_eq!(client.chunk().await, "second");
    assert_eq!(client.chunk().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_streamed() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client
        .request("POST /", &format!("{ALICE}Transfer-Encoding: chunked\r\n"))
        .await;
    client.send_chunk("first").await;
    let mut server = upstream.accept().await;
    server.head().await;
    assert_eq!(server.chunk().await, "first");
    client.send_chunk("second").await;
    client.send_chunk("").await;
    assert_eq!(server.chunk().await, "second");
    assert_eq!(server.chunk().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trailers_of_a_request_are_removed() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    let headers = format!("{ALICE}Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\n");
    client.request("POST /", &headers).await;
    client.send("1\r\nx\r\n0\r\nX-Forwarded-User: mallory\r\n\r\n").await;
    let mut server = upstream.accept().await;
    assert!(!server.head().await.contains("\r\ntrailer:"));
    assert_eq!(server.chunk().await, "x");
    assert_eq!(server.chunk().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trailers_of_a_response_are_passed_on() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client
        .request("GET /", &format!("{ALICE}TE: trailers\r\nConnection: te\r\n"))
        .await;
    let mut server = upstream.accept().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        .await;
    server.send("1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n").await;
    client.head().await;
    assert_eq!(client.chunk().await, "x");
    assert_eq!(client.head().await, "0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_to_the_upstream_ends_when_the_client_disconnects() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client.request("GET /poll", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    drop(client);
    assert_eq!(server.rest().await, "");
}
