//! Responses that are stored, revalidated, and used while the server fails. Each test counts the requests that reach
//! the server.

use bytes::Bytes;
use http::Request;
use std::time::Duration;

use super::super::Outbound;
use super::super::resolver::Resolver;
use super::counts;
use super::server::Server;
use super::server::Side;

async fn server_and_side(floor: Duration) -> (Server, Side) {
    let server = Server::start().await;
    let outbound = Outbound::default().refresh_floor(floor);
    let side = Side::with(&[server.url("")], false, outbound, Resolver::system());
    (server, side)
}

const NO_FLOOR: Duration = Duration::ZERO;
const FLOOR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_fresh_response_is_returned_again_with_its_age() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D60");
    let (_, headers, body) = side.get(&url, &[]).await.unwrap();
    assert_eq!((headers.get("age"), &body[..]), (None, &b"answer 1"[..]));
    let (_, headers, body) = side.get(&url, &[]).await.unwrap();
    assert_eq!((headers["age"].to_str().unwrap(), &body[..]), ("0", &b"answer 1"[..]));
    assert_eq!(side.counted(), counts(&[("sent", 1), ("hit", 1)]));
}

#[tokio::test]
async fn a_response_to_one_credential_is_never_returned_for_another() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=public,max-age%3D60");
    for name in ["authorization", "cookie", "x-api-key"] {
        let [alice, bob] = [
            side.get(&url, &[(name, "alice")]).await,
            side.get(&url, &[(name, "bob")]).await,
        ];
        assert_ne!(alice.unwrap().2, bob.unwrap().2, "{name}");
    }
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_stale_response_is_revalidated() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D0&etag=%221%22");
    for _ in 0..3 {
        let (status, _, body) = side.get(&url, &[]).await.unwrap();
        assert_eq!((status, &body[..]), (200, &b"answer 1"[..]));
    }
    assert_eq!(server.seen().len(), 3);
    assert_eq!(server.last().0["if-none-match"], "\"1\"");
    assert_eq!(side.counted(), counts(&[("sent", 1), ("revalidated", 2)]));
}

#[tokio::test]
async fn a_forced_refresh_reaches_the_server_once_per_floor() {
    for (floor, asked) in [(FLOOR, 1), (NO_FLOOR, 3)] {
        let (server, side) = server_and_side(floor).await;
        for _ in 0..3 {
            let url = server.url("/?cache-control=max-age%3D60");
            side.get(&url, &[("cache-control", "no-cache")]).await.unwrap();
        }
        assert_eq!(server.seen().len(), asked, "{floor:?}");
    }
}

#[tokio::test]
async fn while_a_server_fails_a_stale_response_is_used_and_few_requests_are_sent() {
    for (floor, asked) in [(FLOOR, 2), (NO_FLOOR, 4)] {
        let (server, side) = server_and_side(floor).await;
        let url = server.url("/?cache-control=max-age%3D0,stale-if-error%3D60");
        side.get(&url, &[]).await.unwrap();
        server.fail(true);
        for _ in 0..3 {
            let (status, _, body) = side.get(&url, &[]).await.unwrap();
            assert_eq!((status, &body[..]), (200, &b"answer 1"[..]));
        }
        assert_eq!(server.seen().len(), asked, "{floor:?}");
        assert_eq!(side.counted(), counts(&[("sent", 1), ("stale", 3)]));
    }
}

#[tokio::test]
async fn a_failure_is_returned_if_no_stale_response_may_be_used() {
    let (server, side) = server_and_side(FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D0&etag=%221%22");
    side.get(&url, &[]).await.unwrap();
    server.fail(true);
    assert_eq!(side.get(&url, &[]).await.unwrap().0, 503);
    assert_eq!(
        side.get(&url, &[("cache-control", "stale-if-error=60")])
            .await
            .unwrap()
            .0,
        200
    );
}

#[tokio::test]
async fn an_unsafe_request_invalidates_stored_responses() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D60");
    for (method, asked) in [("HEAD", 2), ("POST", 3)] {
        side.get(&url, &[]).await.unwrap();
        let request = Request::builder().method(method).uri(&url).body(Bytes::new()).unwrap();
        side.send(request).await.unwrap();
        assert_eq!(server.seen().len(), asked, "{method}");
    }
    side.get(&url, &[]).await.unwrap();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_request_with_no_store_leaves_stored_responses() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D0,stale-if-error%3D60");
    side.get(&url, &[]).await.unwrap();
    // The same request with `no-store`: its response is not stored.
    side.get(&url, &[("cache-control", "no-store")]).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    server.fail(true);
    assert_eq!(side.get(&url, &[]).await.unwrap().2, "answer 1");
}
