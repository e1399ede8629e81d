//! The bytes that are sent and received: lengths, bounds, deadlines and secrets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wasmtime_wasi_http::Error;

use super::super::Outbound;
use super::super::resolver::Lookup;
use super::super::resolver::Resolver;
use super::counts;
use super::server::Server;
use super::server::Side;

#[tokio::test]
async fn a_body_is_sent_with_its_own_length_up_to_the_bound() {
    let server = Server::start().await;
    let side = Side::new(&[server.url("")]);
    let post = |size: usize| {
        Request::post(server.url("/"))
            .header("content-length", "7")
            .body(Bytes::from(vec![b'x'; size]))
    };
    side.send(post(1 << 20).unwrap()).await.unwrap();
    let (headers, body) = server.last();
    assert_eq!(
        (headers["content-length"].to_str().unwrap(), body.len()),
        ("1048576", 1 << 20)
    );
    let error = side.send(post((1 << 20) + 1).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestBodySize(_)), "{error}");
    assert_eq!(side.counted(), counts(&[("sent", 1), ("failed", 1)]));
}

#[tokio::test]
async fn a_response_beyond_its_bounds_is_an_error() {
    let server = Server::start().await;
    let side = Side::new(&[server.url("")]);
    for size in [0, 1 << 20, (1 << 20) + 1, 8 << 20] {
        let url = server.url(&format!("/large/{size}?cache-control=max-age%3D60"));
        assert_eq!(side.get(&url, &[]).await.unwrap().2.len(), size);
        assert_eq!(side.get(&url, &[]).await.unwrap().2.len(), size);
    }
    assert_eq!(
        side.counted(),
        counts(&[("sent", 6), ("hit", 2)]),
        "only small responses are stored"
    );
    let error = side
        .get(&server.url(&format!("/large/{}", (8 << 20) + 1)), &[])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpResponseBodySize(_)), "{error}");
    let said = format!("{}: the body of its response is larger than 8 MiB", server.url(""));
    assert_eq!(side.log.warnings(), [said]);
}

#[tokio::test]
async fn an_exchange_ends_in_time_if_its_head_or_its_body_is_late() {
    let server = Server::start().await;
    let side = Side::hurried(&[server.url("")], Duration::from_millis(100));
    for (method, path, late_head) in [
        ("GET", "/gated", true),
        ("POST", "/gated", true),
        // A response that may be shared is read completely before it is returned.
        ("GET", "/stalled", true),
        ("POST", "/stalled", false),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(server.url(path))
            .body(Bytes::new());
        let error = side.send(request.unwrap()).await.unwrap_err();
        let expected = match late_head {
            true => matches!(error, Error::ConnectionReadTimeout),
            false => matches!(error, Error::HttpResponseTimeout),
        };
        assert!(expected, "{method} {path}: {error}");
    }
}

#[tokio::test]
async fn a_response_with_a_large_head_is_an_error() {
    let server = Server::start().await;
    let side = Side::new(&[server.url("")]);
    let many = vec!["x=1"; 101].join("&");
    for query in ["x=%repeat", &many] {
        let error = side.get(&server.url(&format!("/?{query}")), &[]).await.unwrap_err();
        assert!(matches!(error, Error::HttpResponseHeaderSectionSize(None)), "{error}");
    }
}

/// Row B6 of the field reports: each cause has a name of its own.
#[tokio::test]
async fn why_there_is_no_connection_is_told() {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let side = Side::new(&[format!("http://{refusing}")]);
    let error = side.get(&format!("http://{refusing}/"), &[]).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionRefused), "{error}");
    let unresolved: Lookup = Arc::new(|_| Box::pin(std::future::ready(Err(io::Error::other("no such name")))));
    let grants = ["http://gone.example".to_owned()];
    let side = Side::with(&grants, false, Outbound::default(), unresolved);
    let error = side.get("http://gone.example/", &[]).await.unwrap_err();
    assert!(matches!(error, Error::DnsError { .. }), "{error}");
    // The kernel has no route for a broadcast over TCP.
    let side = Side::new(&["http://255.255.255.255".to_owned()]);
    let error = side.get("http://255.255.255.255/", &[]).await.unwrap_err();
    assert!(
        matches!(error, Error::DestinationUnavailable | Error::DestinationIpProhibited),
        "{error}"
    );
}

/// Row B3 of the field reports: a server must not think that any coding is welcome.
#[tokio::test]
async fn no_content_coding_is_asked_for_unless_the_plugin_does() {
    let server = Server::start().await;
    let side = Side::new(&[server.url("")]);
    for (asked, expected) in [(&[][..], "identity"), (&[("accept-encoding", "gzip")], "gzip")] {
        side.get(&server.url("/"), asked).await.unwrap();
        assert_eq!(server.last().0["accept-encoding"], expected);
    }
}

/// Row H8 of the field reports: a server closes a connection just when the next request is on its way.
#[tokio::test]
async fn a_request_on_a_connection_that_is_being_closed_is_sent_again() {
    for (method, expected) in [("GET", true), ("HEAD", true), ("POST", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut connections = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections += 1;
                // The first connection answers one request, and is closed at the second.
                while stream.read(&mut [0; 4096]).await.unwrap() > 0 {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .await
                        .unwrap();
                    if connections == 1 {
                        let _ = stream.read(&mut [0; 4096]).await;
                        break;
                    }
                }
            }
        });
        let side = Side::new(std::slice::from_ref(&url));
        let send = || side.send(Request::builder().method(method).uri(&url).body(Bytes::new()).unwrap());
        assert_eq!(send().await.unwrap().0, 200);
        let second = send().await;
        match expected {
            true => assert_eq!(second.unwrap().0, 200, "{method}"),
            false => assert!(
                matches!(second, Err(Error::ConnectionTerminated)),
                "{method} {second:?}"
            ),
        }
        server.abort();
    }
}

#[tokio::test]
async fn a_secret_replaces_the_plugins_own_header() {
    let server = Server::start().await;
    let outbound = Outbound::default()
        .header(
            server.url("/a").parse().unwrap(),
            http::header::AUTHORIZATION,
            HeaderValue::from_static("secret"),
        )
        .unwrap();
    let side = Side::with(&[server.url("")], false, outbound, Resolver::system());
    for (path, expected) in [("/a/b", "secret"), ("/b", "the plugin's")] {
        side.get(&server.url(path), &[("authorization", "the plugin's")])
            .await
            .unwrap();
        let (headers, _) = server.last();
        assert_eq!(Vec::from_iter(headers.get_all("authorization")), [expected], "{path}");
    }
}

#[tokio::test]
async fn the_number_of_requests_of_a_call_is_limited() {
    use http_body_util::BodyExt;
    use http_body_util::Empty;
    use wasmtime_wasi_http::WasiHttpHooks;

    use super::super::CallEgress;
    use crate::plugin_log::LogLines;

    let server = Server::start().await;
    let side = Side::new(&[server.url("")]);
    let log = LogLines::new("tested".into(), None);
    let mut call = CallEgress::new(side.egress.clone(), log.clone());
    for number in 0..66 {
        let url = if number == 0 {
            "http://other/".to_owned()
        } else {
            server.url("/")
        };
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let sent = call.send_request(
            Request::get(url).body(body).unwrap(),
            None,
            Box::new(std::future::ready(Ok(()))),
        );
        let error = std::pin::Pin::from(sent).await.err();
        match number {
            0 => assert!(matches!(error, Some(Error::HttpRequestDenied))),
            64.. => assert!(matches!(error, Some(Error::ConnectionLimitReached))),
            _ => assert!(error.is_none()),
        }
    }
    assert_eq!(call.denied(), 1);
    assert_eq!(side.counted(), counts(&[("denied", 1), ("sent", 63), ("limited", 2)]));
    let said = log.warnings();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        said[1],
        "not sent, because a call may send 64 requests to other servers"
    );
}

#[tokio::test]
async fn a_server_that_answers_before_it_has_read_the_body_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 16]).await.unwrap();
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
            // It is dropped with most of the body unread, so that the system resets the connection.
        }
    });
    let side = Side::new(std::slice::from_ref(&url));
    for _ in 0..100 {
        let request = Request::post(&url).body(Bytes::from(vec![b'x'; 1 << 20])).unwrap();
        let (status, _, body) = side.send(request).await.unwrap();
        assert_eq!((status, &body[..]), (413, &b"no"[..]));
    }
}
