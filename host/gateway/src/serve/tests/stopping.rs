//! A gateway that is told to stop lets running requests finish, and doesn't wait for anything else.

use super::*;

const BEGIN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Starts a request. Returns the client's connection and the upstream's.
async fn running(gateway: &Running, upstream: &Upstream) -> (Wire, Wire) {
    let mut client = gateway.connect().await;
    client.request("GET /", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    server.send(BEGIN).await;
    client.head().await;
    (client, server)
}

/// Requests a stop, and waits until the gateway has closed its listener.
async fn stop(gateway: &Running) {
    gateway.stop.send_modify(|count| *count += 1);
    soon(async { while tokio::net::TcpStream::connect(gateway.address).await.is_ok() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_requests_finish_before_the_gateway_stops() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut idle = gateway.connect().await;
    idle.request("GET /", "").await;
    idle.head().await;
    let (mut client, mut server) = running(&gateway, &upstream).await;
    stop(&gateway).await;
    assert!(!gateway.served.is_finished());
    server.send_chunk("last").await;
    server.send_chunk("").await;
    assert_eq!(client.chunk().await, "last");
    assert_eq!(client.chunk().await, "");
    gateway.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_connection_may_finish_within_the_shutdown_timeout() {
    let upstream = Upstream::start().await;
    for (timeout, ends) in [("1h", Some("bye")), ("100ms", None)] {
        let gateway = Running::start(
            &format!("shutdown_timeout = \"{timeout}\""),
            &protected("/", &upstream, ""),
        )
        .await;
        let (client, server) = upgraded(&gateway, &upstream).await;
        upgraded_ends(gateway, client, server, ends).await;
    }
}

/// Stops a gateway with an upgraded connection. The upstream ends it with `last`, or for `None` the gateway does.
async fn upgraded_ends(gateway: Running, mut client: Wire, mut server: Wire, last: Option<&str>) {
    stop(&gateway).await;
    if let Some(last) = last {
        assert!(!gateway.served.is_finished());
        client.send("still").await;
        assert_eq!(server.text(5).await, "still");
        server.send(last).await;
        drop(server);
        assert_eq!(client.rest().await, last);
        drop(client);
        gateway.stopped().await;
    } else {
        gateway.stopped().await;
        assert_eq!(client.rest().await, "");
    }
}

async fn upgraded(gateway: &Running, upstream: &Upstream) -> (Wire, Wire) {
    let mut client = gateway.connect().await;
    client
        .request(
            "GET /",
            &format!("{ALICE}Connection: upgrade\r\nUpgrade: websocket\r\n"),
        )
        .await;
    let mut server = upstream.accept().await;
    server.head().await;
    server
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    client.head().await;
    (client, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_connection_gets_a_response() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut early = gateway.connect().await;
    stop(&gateway).await;
    early.request("GET /.portcullis/logout", "").await;
    let head = early.head().await;
    assert!(
        head.starts_with("http/1.1 405 ") && head.contains("connection: close"),
        "{head}"
    );
    gateway.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_does_not_delay_the_stop() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("header_timeout = \"1h\"", &protected("/", &upstream, "")).await;
    let _silent = gateway.connect().await;
    stop(&gateway).await;
    gateway.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_connections_are_accepted_during_the_drain_delay() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("drain_delay = \"1h\"", &protected("/", &upstream, "")).await;
    let mut idle = gateway.connect().await;
    idle.request("GET /.portcullis/logout", "").await;
    assert!(!idle.head().await.contains("connection: close"));
    gateway.stop.send_modify(|count| *count += 1);
    // `Connection: close` makes the client connect elsewhere next time.
    soon(async {
        while !gateway
            .ask("GET /.portcullis/logout", "")
            .await
            .contains("connection: close")
        {}
    })
    .await;
    assert!(!gateway.served.is_finished());
    stop(&gateway).await;
    gateway.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_cut_off_at_the_timeout() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("shutdown_timeout = \"100ms\"", &protected("/", &upstream, "")).await;
    let (_client, _server) = running(&gateway, &upstream).await;
    stop(&gateway).await;
    gateway.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_to_stop_stops_at_once() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("shutdown_timeout = \"1h\"", &protected("/", &upstream, "")).await;
    let (_client, _server) = running(&gateway, &upstream).await;
    stop(&gateway).await;
    gateway.stop.send_modify(|count| *count += 1);
    gateway.stopped().await;
}
