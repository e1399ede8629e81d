//! The PROXY protocol: a header means the same however it is split, and no byte after it is consumed.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::net::IpAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;
use portcullis_wire::proxy_protocol;
use ppp::HeaderResult;
use tokio::io::AsyncRead;
use tokio::io::ReadBuf;

/// A connection on which each read returns at most `size` bytes.
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

portcullis_fuzz::target!(|sent: &[u8]| {
    let proxy = Peer::Ip(IpAddr::from([10, 0, 0, 1]));
    let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = |size| {
        let mut stream = Pieces { rest: sent, size };
        let result = runtime.block_on(proxy_protocol::client(
            &mut stream,
            proxy,
            &proxies,
            std::future::pending(),
        ));
        result.ok().map(|peer| (peer, sent.len() - stream.rest.len()))
    };
    let whole = read(usize::MAX);
    assert_eq!(whole, read(1));
    let Some((peer, length)) = whole else { return };
    let header = &sent[..length];
    // A parser that gets all bytes at once finds the same header.
    match HeaderResult::parse(sent) {
        HeaderResult::V1(found) => assert_eq!(found.unwrap().header.as_bytes(), header),
        HeaderResult::V2(found) => assert_eq!(found.unwrap().as_bytes(), header),
    }
    assert!(length <= 4096 && peer.address().is_none_or(|address| address == address.to_canonical()));
});
