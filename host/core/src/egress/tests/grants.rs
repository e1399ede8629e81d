//! Which servers a plugin can reach. Neither its URLs nor the answers of a resolver can widen the grants.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use wasmtime_wasi_http::Error;

use super::super::Outbound;
use super::super::resolver::Lookup;
use super::super::resolver::Resolver;
use super::counts;
use super::server::Server;
use super::server::Side;

/// A resolver that returns the next of these addresses for each look-up, and the last one for all further ones.
fn scripted(addresses: &[&str]) -> (Lookup, Arc<AtomicUsize>) {
    let addresses = Vec::from_iter(addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()));
    let lookups = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&lookups);
    let lookup: Lookup = Arc::new(move |_| {
        let turn = count.fetch_add(1, Ordering::SeqCst).min(addresses.len() - 1);
        Box::pin(std::future::ready(Ok(vec![SocketAddr::new(addresses[turn], 0)])))
    });
    (lookup, lookups)
}

#[tokio::test]
async fn an_address_needs_a_grant_and_a_private_name_needs_grants_private() {
    let server = Server::start().await;
    let port = server.address.port();
    for (grant, private, url, reached) in [
        ("http://127.0.0.1", false, "http://127.0.0.1", true),
        ("http://127.0.0.1", true, "http://127.0.0.1", true),
        ("http://localhost", false, "http://localhost", false),
        ("http://localhost", true, "http://localhost", true),
        ("http://localhost", true, "http://127.0.0.1", false),
        ("http://127.0.0.1", true, "http://localhost", false),
    ] {
        let grants = [format!("{grant}:{port}")];
        let side = Side::with(&grants, private, Outbound::default(), Resolver::system());
        let result = side.get(&format!("{url}:{port}/"), &[]).await;
        assert_eq!(result.is_ok(), reached, "{grant} {private} {url}: {result:?}");
    }
    assert_eq!(server.seen().len(), 3);
}

/// A granted name that resolves to a forbidden address. Private addresses are reached with `grants.private`.
#[tokio::test]
async fn a_name_never_reaches_a_special_address() {
    let server = Server::start().await;
    let port = server.address.port();
    for (address, with_leave) in [
        ("127.0.0.1", true),
        ("::ffff:127.0.0.1", true),
        ("0.0.0.0", false),
        ("::", false),
        ("::127.0.0.1", false),
        ("64:ff9b::7f00:1", false),
        ("64:ff9b:1::7f00:1", false),
        ("2002:7f00:1::", false),
        ("2001:0:7f00:1::", false),
        ("2600::5efe:127.0.0.1", false),
        ("fe80::1", false),
        ("fec0::1", false),
        ("169.254.169.254", false),
        ("::ffff:169.254.169.254", false),
        ("168.63.129.16", false),
        ("100.100.100.200", false),
        ("fd00:ec2::254", false),
    ] {
        for private in [false, true] {
            let (lookup, _) = scripted(&[address]);
            let grants = [format!("http://*.rebind.example:{port}")];
            let side = Side::with(&grants, private, Outbound::default(), lookup);
            let result = side.get(&format!("http://a.rebind.example:{port}/"), &[]).await;
            if private && with_leave {
                assert_eq!(result.unwrap().0, 200, "{address}");
                continue;
            }
            assert!(
                matches!(result, Err(Error::DestinationIpProhibited)),
                "{address} {private}: {result:?}"
            );
            assert_eq!(side.counted(), counts(&[("denied", 1)]), "{address} {private}");
        }
    }
    assert_eq!(server.seen().len(), 2);
}

/// Every spelling that some software reads as loopback or a metadata service, with grants for a wildcard and a name.
#[tokio::test]
async fn no_grant_of_a_name_covers_a_spelling_of_an_address() {
    let server = Server::start().await;
    let port = server.address.port();
    let (lookup, lookups) = scripted(&["127.0.0.1"]);
    let grants = [format!("http://*.example:{port}"), format!("http://idp.example:{port}")];
    let side = Side::with(&grants, true, Outbound::default(), lookup);
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "idp.example.evil",
        "x.idp.example.",
        "evilidp",
        "idp.example:81",
        "user@idp.example",
        "idp.example@127.0.0.1",
        "idp.example:80@127.0.0.1",
        "127.0.0.1.nip.io",
    ];
    let mut denied = 0;
    for host in hosts {
        let authority = if host.ends_with(":81") {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        // A text that is not a URL can't be sent.
        let Ok(request) = Request::get(format!("http://{authority}/")).body(Bytes::new()) else {
            continue;
        };
        let result = side.send(request).await;
        if host == "x.idp.example." {
            assert_eq!(result.unwrap().0, 200, "the wildcard covers this one");
            continue;
        }
        denied += 1;
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::HttpRequestDenied | Error::HttpRequestUriInvalid),
            "{host}: {error}"
        );
    }
    assert!(denied > 30, "{denied}");
    assert_eq!(side.counted(), counts(&[("denied", denied), ("sent", 1)]));
    assert_eq!(lookups.load(Ordering::SeqCst), 1, "a denied host is not resolved");
}

/// DNS rebinding: the first connection goes to the address that was checked, and the second look-up is checked again.
#[tokio::test]
async fn dns_rebinding_has_no_effect() {
    let server = Server::start().await;
    let port = server.address.port();
    let (lookup, lookups) = scripted(&["127.0.0.1", "169.254.169.254"]);
    let grants = [format!("http://rebind.example:{port}")];
    let side = Side::with(&grants, true, Outbound::default(), lookup);
    let url = format!("http://rebind.example:{port}/?connection=close");
    assert_eq!(side.get(&url, &[]).await.unwrap().0, 200);
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    let error = side.get(&url, &[]).await.unwrap_err();
    assert!(matches!(error, Error::DestinationIpProhibited), "{error}");
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_tunnel_is_denied() {
    let server = Server::start().await;
    let side = Side::new(&[server.url("")]);
    let request = Request::connect(server.url("/")).body(Bytes::new()).unwrap();
    assert!(matches!(side.send(request).await, Err(Error::HttpRequestMethodInvalid)));
    assert!(server.seen().is_empty());
}

/// The host doesn't follow redirects: the plugin gets the response, and its next request is checked like any other.
#[tokio::test]
async fn a_redirect_is_not_followed_and_a_secret_stays_with_its_server() {
    let (granted, other) = (Server::start().await, Server::start().await);
    let outbound = Outbound::default()
        .header(
            granted.url("").parse().unwrap(),
            http::header::AUTHORIZATION,
            HeaderValue::from_static("secret"),
        )
        .unwrap();
    let side = Side::with(&[granted.url("")], false, outbound.clone(), Resolver::system());
    let (status, headers, _) = side
        .get(&granted.url(&format!("/status/302?location={}", other.url("/x"))), &[])
        .await
        .unwrap();
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (302, other.url("/x").as_str())
    );
    assert_eq!(granted.last().0["authorization"], "secret");
    assert!(matches!(
        side.get(&other.url("/x"), &[]).await,
        Err(Error::HttpRequestDenied)
    ));
    assert!(other.seen().is_empty());

    // With grants for both servers, the secret is still sent to one of them.
    let side = Side::with(&[granted.url(""), other.url("")], false, outbound, Resolver::system());
    side.get(&other.url("/x"), &[]).await.unwrap();
    assert!(!other.last().0.contains_key("authorization"));
}
