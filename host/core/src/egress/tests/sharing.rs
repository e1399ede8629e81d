//! Concurrent identical requests share one exchange. A request that is cancelled doesn't cancel it for the others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::task::JoinSet;
use wasmtime_wasi_http::Error;

use super::counts;
use super::server::Server;
use super::server::Side;

/// Starts a GET request for each of these sets of headers.
fn start(side: &Arc<Side>, url: &str, headers: &[&[(&'static str, &'static str)]]) -> JoinSet<Result<Bytes, Error>> {
    let mut requests = JoinSet::new();
    for headers in headers {
        let (side, url, headers) = (Arc::clone(side), url.to_owned(), headers.to_vec());
        requests.spawn(async move { side.get(&url, &headers).await.map(|(_, _, body)| body) });
    }
    requests
}

async fn server_and_side() -> (Server, Arc<Side>) {
    let server = Server::start().await;
    let side = Arc::new(Side::new(&[server.url("")]));
    (server, side)
}

#[tokio::test]
async fn concurrent_identical_requests_are_one_exchange() {
    let (server, side) = server_and_side().await;
    let requests = start(&side, &server.url("/gated"), &[&[("authorization", "a")][..]; 20]);
    server.until_asked(1).await;
    server.open();
    for body in requests.join_all().await {
        assert_eq!(body.unwrap(), "answer 1");
    }
    assert_eq!(server.seen().len(), 1);
    assert_eq!(side.counted(), counts(&[("sent", 1), ("shared", 19)]));
}

#[tokio::test]
async fn requests_with_other_headers_or_methods_or_no_store_are_not_shared() {
    let (server, side) = server_and_side().await;
    let headers: [&[(&str, &str)]; 6] = [
        &[("authorization", "a")],
        &[("authorization", "b")],
        &[("x-api-key", "a")],
        &[("x-api-key", "b")],
        &[("cache-control", "no-store")],
        &[("cache-control", "no-store")],
    ];
    let mut requests = start(&side, &server.url("/gated"), &headers);
    for _ in 0..2 {
        let (side, request) = (
            Arc::clone(&side),
            Request::post(server.url("/gated")).body(Bytes::new()).unwrap(),
        );
        requests.spawn(async move { side.send(request).await.map(|(_, _, body)| body) });
    }
    server.until_asked(8).await;
    server.open();
    let mut bodies = Vec::from_iter(requests.join_all().await.into_iter().map(Result::unwrap));
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 8, "each request has a response of its own");
}

#[tokio::test]
async fn a_response_that_sets_a_cookie_or_is_large_is_not_shared() {
    for path in ["/gated?set-cookie=a%3Db", "/large/0?set-cookie=a%3Db", "/large/2000000"] {
        let (server, side) = server_and_side().await;
        let requests = start(&side, &server.url(path), &[&[][..]; 3]);
        server.open();
        for body in requests.join_all().await {
            assert_eq!(body.unwrap().is_empty(), path.starts_with("/large/0"));
        }
        assert_eq!(server.seen().len(), 3, "{path}");
        assert_eq!(side.counted(), counts(&[("sent", 3)]), "{path}");
    }
}

#[tokio::test]
async fn the_others_get_the_response_after_the_first_was_cancelled() {
    let (server, side) = server_and_side().await;
    let mut first = start(&side, &server.url("/gated"), &[&[]]);
    server.until_asked(1).await;
    let mut second = start(&side, &server.url("/gated"), &[&[]]);
    first.shutdown().await;
    server.open();
    assert_eq!(second.join_next().await.unwrap().unwrap().unwrap(), "answer 1");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_timeout_of_one_request_leaves_the_exchange_to_the_others() {
    let (server, side) = server_and_side().await;
    let mut second = start(&side, &server.url("/gated"), &[&[]]);
    server.until_asked(1).await;
    let request = Request::get(server.url("/gated")).body(Bytes::new()).unwrap();
    let error = side
        .send_within(Some(Duration::from_millis(1)), request)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
    server.open();
    assert_eq!(second.join_next().await.unwrap().unwrap().unwrap(), "answer 1");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_request_without_time_is_not_sent_nor_answered_from_the_store() {
    let (server, side) = server_and_side().await;
    let url = server.url("/?cache-control=max-age%3D60");
    side.get(&url, &[]).await.unwrap();
    for request in [Request::get(&url), Request::post(&url)] {
        let request = request.body(Bytes::new()).unwrap();
        let error = side.send_within(Some(Duration::ZERO), request).await.unwrap_err();
        assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
    }
    assert_eq!(server.seen().len(), 1);
    assert_eq!(side.counted(), counts(&[("sent", 1), ("failed", 2)]));
}

#[tokio::test]
async fn a_failure_is_returned_to_all_waiting_requests_and_not_to_later_ones() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let side = Arc::new(Side::new(std::slice::from_ref(&url)));
    let requests = start(&side, &url, &[&[][..]; 5]);
    let (connection, _) = listener.accept().await.unwrap();
    // After this all of them wait, because the test's runtime has one thread and has polled each of them.
    tokio::task::yield_now().await;
    drop(connection);
    let results = requests.join_all().await;
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(Error::ConnectionTerminated))),
        "{results:?}"
    );

    let next = start(&side, &url, &[&[]]);
    let answered = async {
        let (connection, _) = listener.accept().await.unwrap();
        connection.writable().await.unwrap();
        connection
            .try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .unwrap();
        connection
    };
    let (results, _) = tokio::join!(next.join_all(), answered);
    assert_eq!(results[0].as_ref().unwrap(), "ok");
}

#[tokio::test]
async fn a_request_beyond_the_limit_fails_immediately() {
    let (server, side) = server_and_side().await;
    let mut requests = JoinSet::new();
    for number in 0..64 {
        let (side, url) = (Arc::clone(&side), server.url(&format!("/gated/{number}")));
        requests.spawn(async move { side.get(&url, &[]).await });
    }
    server.until_asked(64).await;
    let error = side.get(&server.url("/more"), &[]).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLimitReached), "{error}");
    let post = Request::post(server.url("/more")).body(Bytes::new()).unwrap();
    assert!(matches!(side.send(post).await, Err(Error::ConnectionLimitReached)));
    server.open();
    assert!(requests.join_all().await.iter().all(Result::is_ok));
    assert_eq!(
        side.get(&server.url("/more"), &[]).await.unwrap().0,
        200,
        "there is room again"
    );
    assert_eq!(side.counted(), counts(&[("limited", 2), ("sent", 65)]));
}
