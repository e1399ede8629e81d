//! Limits on clients: how much they may send, and how long they may take.

use super::*;
use crate::config::Listen;
use crate::config::ListenAddress;
use crate::transport::OpenSockets;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_no_request_is_cut_off() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("header_timeout = \"100ms\"", &protected("/", &upstream, "")).await;
    for sent in [
        "",
        "G",
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    ] {
        let mut client = gateway.connect().await;
        client.send(sent).await;
        let rest = client.bytes().await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_the_limits_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = Running::start("max_header_size = \"8KiB\"", &protected("/", &upstream, "")).await;
    let large = format!("X-Large: {}\r\n", "x".repeat(9 * 1024));
    let many = "X-Many: 1\r\n".repeat(101);
    for headers in [large, many] {
        let head = gateway.ask("GET /", &format!("{ALICE}{headers}")).await;
        assert!(head.starts_with("http/1.1 431 "), "{head}");
    }
    assert!(upstream.is_unvisited());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http_is_refused() {
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    for request in [
        "HELO gateway\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: \0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = gateway.connect().await;
        client.send(request).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 400 "), "{request:?}: {head}");
    }
    assert!(upstream.is_unvisited());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_named() {
    let sockets = OpenSockets::default();
    let bind = |address| {
        let listen = Listen::at(ListenAddress::Tcp(address));
        sockets.open(&[("server", &listen)])
    };
    let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let [socket] = &first.of("server")[..] else { panic!() };
    let address = socket.address().to_string();
    let error = bind(address.parse().unwrap()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("can't listen on {address}: ")) && error.contains("another process"),
        "{error}"
    );
}
