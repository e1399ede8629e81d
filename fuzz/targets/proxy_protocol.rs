//! The PROXY protocol. A header must mean the same however its bytes are split, and no byte after it may be consumed.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the modules are the gateway's own, and not all of them is used here")]

#[path = "../../host/gateway/src/peer.rs"]
mod peer;
#[path = "../../host/gateway/src/serve/proxy_protocol/mod.rs"]
mod proxy_protocol;

use std::net::IpAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use libfuzzer_sys::fuzz_target;
use peer::Peer;
use peer::TrustedProxies;
use ppp::HeaderResult;
use tokio::io::AsyncRead;
use tokio::io::ReadBuf;

/// A connection that returns `size` bytes with each read.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let length = self.size.min(self.rest.len()).min(buffer.remaining());
        let (now, later) = self.rest.split_at(length);
        buffer.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}

fuzz_target!(|sent: &[u8]| {
    let proxy = Peer::Ip(IpAddr::from([10, 0, 0, 1]));
    let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = |size| {
        let mut stream = Pieces { rest: sent, size };
        let client = runtime.block_on(proxy_protocol::client(&mut stream, proxy, &proxies, std::future::pending()));
        client.ok().map(|peer| (peer, sent.len() - stream.rest.len()))
    };
    let whole = read(usize::MAX);
    assert_eq!(whole, read(1));
    let Some((peer, length)) = whole else { return };
    let header = &sent[..length];
    // A parser that sees all bytes at once finds the same header.
    match HeaderResult::parse(sent) {
        HeaderResult::V1(found) => assert_eq!(found.unwrap().header.as_bytes(), header),
        HeaderResult::V2(found) => assert_eq!(found.unwrap().as_bytes(), header),
    }
    assert!(length <= 4096 && peer.address().is_none_or(|address| address == address.to_canonical()));
});
