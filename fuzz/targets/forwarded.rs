//! `X-Forwarded-*` and similar headers. An untrusted peer must change nothing, and a trusted one only what it may.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the modules are the gateway's own, and not all of them is used here")]

#[path = "../../host/gateway/src/peer.rs"]
mod peer;
#[path = "../mirror/serve.rs"]
mod serve;

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::uri::Scheme;
use libfuzzer_sys::fuzz_target;
use peer::Peer;
use peer::TrustedProxies;
use serve::client::Client;
use serve::headers::forwarded;

fuzz_target!(|lines: &[u8]| {
    let mut received = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(50) {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.get(1..).unwrap_or_default()))
        {
            received.append(name, value);
        }
    }
    let address = IpAddr::from([10, 0, 0, 1]);
    for (peer, trusted) in [
        (Peer::Ip(address), None),
        (Peer::Ip(address), Some(TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], false))),
        (Peer::Unix, None),
        (Peer::Unix, Some(TrustedProxies::new([], true))),
        (Peer::Unknown, None),
    ] {
        let hop = peer.address().map_or("unknown".to_owned(), |address| address.to_string());
        let client = Client::of(peer, Scheme::HTTP, &received, &trusted.clone().unwrap_or_default());
        assert_eq!((client.peer, client.peer_is_trusted), (peer, trusted.is_some()));
        assert!([Scheme::HTTP, Scheme::HTTPS].contains(&client.scheme));
        let mut sent = received.clone();
        forwarded::remove_unbelieved(&mut sent, &client);
        forwarded::set(&mut sent, &client, Some("app.example"));
        assert!(sent["x-forwarded-for"].as_bytes().ends_with(hop.as_bytes()));
        assert_eq!(sent["x-forwarded-proto"], client.scheme.as_str());
        if trusted.is_none() {
            assert_eq!((client.address, client.scheme.as_str()), (peer.address(), "http"));
            assert_eq!(sent["x-forwarded-for"], hop.as_str());
            assert_eq!(sent["x-forwarded-host"], "app.example");
        }
        for name in sent.keys() {
            let ours = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
            let folded = name.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let claims = folded.starts_with("x-forwarded-") || folded == "forwarded" || folded == "x-real-ip";
            assert!(!claims || ours.contains(&name.as_str()) || (trusted.is_some() && folded == name.as_str()), "{name}");
        }
    }
});
