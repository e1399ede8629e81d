//! Answers that are stored, asked for again, confirmed, and used while the server fails.

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
async fn a_fresh_answer_is_given_again_with_its_age() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D60");
    let (_, headers, body) = side.get(&url, &[]).await.unwrap();
    assert_eq!((headers.get("age"), &body[..]), (None, &b"answer 1"[..]));
    let (_, headers, body) = side.get(&url, &[]).await.unwrap();
    assert_eq!((headers["age"].to_str().unwrap(), &body[..]), ("0", &b"answer 1"[..]));
    assert_eq!(side.counted(), counts(&[("sent", 1), ("hit", 1)]));
}

#[tokio::test]
async fn no_answer_to_one_credential_is_given_for_another() {
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
async fn a_stale_answer_is_confirmed_by_the_server() {
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
async fn a_refresh_by_force_reaches_the_server_once_in_a_floor() {
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
async fn a_server_that_fails_is_stood_in_for_and_left_alone() {
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
async fn a_failure_is_an_answer_where_nothing_may_stand_in() {
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
async fn what_changes_a_resource_forgets_what_was_stored_of_it() {
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
async fn a_request_that_is_not_to_be_stored_leaves_what_is_stored() {
    let (server, side) = server_and_side(NO_FLOOR).await;
    let url = server.url("/?cache-control=max-age%3D0,stale-if-error%3D60");
    side.get(&url, &[]).await.unwrap();
    // The same request, but not to be stored: nothing of it is.
    side.get(&url, &[("cache-control", "no-store")]).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    server.fail(true);
    assert_eq!(side.get(&url, &[]).await.unwrap().2, "answer 1");
}
