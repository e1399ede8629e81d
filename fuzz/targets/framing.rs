//! The bytes of a connection: the inspection sees the same requests as hyper, however the bytes are split.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use http::HeaderMap;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_wire::framing::HeadLimits;
use portcullis_wire::framing::ObservedStream;
use tokio::io::AsyncWriteExt;

/// The requests that hyper reads from a connection: whether each was ambiguous, and its headers.
fn served(pieces: &[&[u8]]) -> Vec<(bool, HeaderMap)> {
    let served = Arc::new(Mutex::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let (stream, state) = ObservedStream::new(
            server,
            HeadLimits {
                size: 8 * 1024,
                fields: 100,
            },
        );
        let log = Arc::clone(&served);
        let service = service_fn(move |request: Request<Incoming>| {
            let ambiguous = state.next_request().is_some();
            log.lock().unwrap().push((ambiguous, request.headers().clone()));
            async {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(8 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let send = async {
            for piece in pieces {
                let _ = client.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let _ = client.shutdown().await;
            // The responses are read to the end, so that hyper's writes never block.
            let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
        };
        futures_join(async { drop(connection.await) }, send).await;
    });
    Arc::into_inner(served).unwrap().into_inner().unwrap()
}

async fn futures_join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut left, mut right) = (None, None);
    std::future::poll_fn(move |context| {
        use std::task::Poll;
        if left.is_none()
            && let Poll::Ready(out) = a.as_mut().poll(context)
        {
            left = Some(out);
        }
        if right.is_none()
            && let Poll::Ready(out) = b.as_mut().poll(context)
        {
            right = Some(out);
        }
        match (left.is_some(), right.is_some()) {
            (true, true) => Poll::Ready((left.take().unwrap(), right.take().unwrap())),
            _ => Poll::Pending,
        }
    })
    .await
}

portcullis_fuzz::target!(|bytes: &[u8]| {
    let whole = served(&[bytes]);
    let halves = bytes.split_at(bytes.len() / 2);
    let pieces = bytes.chunks(5).collect::<Vec<_>>();
    for other in [served(&[halves.0, halves.1]), served(&pieces)] {
        let flags = |served: &[(bool, HeaderMap)]| served.iter().map(|(ambiguous, _)| *ambiguous).collect::<Vec<_>>();
        assert_eq!(flags(&whole), flags(&other));
    }
    // hyper never reports two lengths, and every request that it repaired must be ambiguous. Only the first head can be
    // compared with the input.
    let head = bytes
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .map_or(bytes.len(), |end| end + 4);
    let (mut headers, mut request) = ([httparse::EMPTY_HEADER; 100], None);
    let mut parsed = httparse::Request::new(&mut headers);
    if parsed.parse(&bytes[..head]).is_ok_and(|status| status.is_complete()) {
        request = Some(
            parsed
                .headers
                .iter()
                .map(|header| header.name.to_ascii_lowercase())
                .collect::<Vec<_>>(),
        );
    }
    if let (Some(names), Some((ambiguous, read))) = (request, whole.first()) {
        let sent = |name: &str| names.iter().filter(|sent| *sent == name).count();
        let both = sent("content-length") > 0 && sent("transfer-encoding") > 0;
        let lost = sent("content-length") != read.get_all("content-length").iter().count();
        assert!(*ambiguous || !(both || lost), "{names:?}");
    }
});
