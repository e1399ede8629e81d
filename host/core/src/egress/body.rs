//! Bodies within bounds. The body of a request is read completely before it is sent; that of a response is streamed
//! until it ends, exceeds its size or takes too long.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use bytes::BytesMut;
use http_body::Body;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::sleep_until;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::WasiBody;

/// The largest body of a request, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// The largest body of a response, in bytes.
pub(crate) const MAX_RESPONSE: usize = 8 << 20;

/// Reads the complete body of a plugin's request. Its length is then known and is sent in place of the plugin's
/// headers.
pub(super) async fn taken_in(body: WasiBody) -> Result<Bytes, Error> {
    match Limited::new(body, MAX_REQUEST).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(error
            .downcast::<Error>()
            .map_or(Error::HttpRequestBodySize(None), |error| *error)),
    }
}

/// The start of a response's body.
pub(super) enum BodyStart {
    /// These bytes, and more that was not read.
    Part(Bytes),
    /// The complete body.
    Whole(Bytes),
}

/// Reads a body until it ends or exceeds `limit` bytes.
pub(super) async fn body_start(body: &mut Incoming, limit: usize) -> Result<BodyStart, hyper::Error> {
    let mut read = BytesMut::new();
    if body.size_hint().lower() > limit as u64 {
        return Ok(BodyStart::Part(Bytes::new()));
    }
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
        if read.len() > limit {
            return Ok(BodyStart::Part(read.freeze()));
        }
    }
    Ok(BodyStart::Whole(read.freeze()))
}

/// A response body that is streamed from the server and fails if it exceeds its bounds. It holds one of the
/// authenticator's permits until it is dropped.
pub(super) struct Bounded {
    begun: Option<Bytes>,
    rest: Incoming,
    left: usize,
    end: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Bounded {
    /// `begun` was already read; the body must be complete at `deadline`.
    pub(super) fn new(begun: Bytes, rest: Incoming, deadline: Instant, permit: OwnedSemaphorePermit) -> Self {
        Self {
            begun: (!begun.is_empty()).then_some(begun),
            rest,
            left: MAX_RESPONSE,
            end: Box::pin(sleep_until(deadline)),
            _permit: permit,
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        let frame = match self.begun.take() {
            Some(begun) => Frame::data(begun),
            None => match std::task::ready!(Pin::new(&mut self.rest).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            },
        };
        match self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(MAX_RESPONSE as u64))))),
        }
        Poll::Ready(Some(Ok(frame)))
    }
}
