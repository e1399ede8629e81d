//! `X-Forwarded-*` and similar headers: an untrusted peer changes nothing, and a trusted one only what it may.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::uri::Scheme;
use portcullis_wire::client::Client;
use portcullis_wire::forwarded;
use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

portcullis_fuzz::target!(|lines: &[u8]| {
    let mut received = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(50) {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value.get(1..).unwrap_or_default()),
        ) {
            received.append(name, value);
        }
    }
    let address = IpAddr::from([10, 0, 0, 1]);
    for (peer, trusted) in [
        (Peer::Ip(address), None),
        (
            Peer::Ip(address),
            Some(TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], false)),
        ),
        (Peer::Unix, None),
        (Peer::Unix, Some(TrustedProxies::new([], true))),
        (Peer::Unknown, None),
    ] {
        let hop = peer
            .address()
            .map_or("unknown".to_owned(), |address| address.to_string());
        let client = Client::of(peer, Scheme::HTTP, &received, &trusted.clone().unwrap_or_default());
        assert_eq!((client.peer, client.peer_is_trusted), (peer, trusted.is_some()));
        assert!([Scheme::HTTP, Scheme::HTTPS].contains(&client.scheme));
        let mut sent = received.clone();
        forwarded::remove_untrusted(&mut sent, &client);
        forwarded::set(&mut sent, &client, Some("app.example"), None);
        assert!(sent["x-forwarded-for"].as_bytes().ends_with(hop.as_bytes()));
        assert_eq!(sent["x-forwarded-proto"], client.scheme.as_str());
        if trusted.is_none() {
            assert_eq!((client.address, client.scheme.as_str()), (peer.address(), "http"));
            assert_eq!(sent["x-forwarded-for"], hop.as_str());
            assert_eq!(sent["x-forwarded-host"], "app.example");
            assert_eq!(sent["x-forwarded-port"], "80");
        }
        for name in sent.keys() {
            let ours = [
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-port",
                "x-forwarded-proto",
            ];
            let folded = name.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let claims = folded.starts_with("x-forwarded-") || folded == "forwarded" || folded == "x-real-ip";
            assert!(
                !claims || ours.contains(&name.as_str()) || (trusted.is_some() && folded == name.as_str()),
                "{name}"
            );
        }
    }
});
