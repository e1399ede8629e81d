//! Bodies within their bounds: a request's is taken in whole, a response's is passed on until it is larger than allowed
//! or takes too long. The rest is never read.

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

/// Largest request body, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// Largest response body, in bytes.
const MAX_RESPONSE: usize = 8 << 20;

/// The whole body of a plugin's request. So its length is known and is what the server reads, whatever headers say.
pub(super) async fn taken_in(body: WasiBody) -> Result<Bytes, Error> {
    match Limited::new(body, MAX_REQUEST).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(error
            .downcast::<Error>()
            .map_or(Error::HttpRequestBodySize(None), |error| *error)),
    }
}

/// What was read of a response's body.
pub(super) enum Beginning {
    /// There is more, after this.
    Part(Bytes),
    /// All of it.
    Whole(Bytes),
}

/// Reads a body until it is at its end or has more than `limit` bytes.
pub(super) async fn beginning(body: &mut Incoming, limit: usize) -> Result<Beginning, hyper::Error> {
    let mut read = BytesMut::new();
    if body.size_hint().lower() > limit as u64 {
        return Ok(Beginning::Part(Bytes::new()));
    }
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
        if read.len() > limit {
            return Ok(Beginning::Part(read.freeze()));
        }
    }
    Ok(Beginning::Whole(read.freeze()))
}

/// A response body that comes from the server, and ends with an error when it goes out of bounds. It takes up one of the
/// authenticator's places until it is gone.
pub(super) struct Bounded {
    begun: Option<Bytes>,
    rest: Incoming,
    left: usize,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Bounded {
    /// `begun` is what was read already, and `deadline` when all of it must have come.
    pub(super) fn new(begun: Bytes, rest: Incoming, deadline: Instant, place: OwnedSemaphorePermit) -> Self {
        Self {
            begun: (!begun.is_empty()).then_some(begun),
            rest,
            left: MAX_RESPONSE,
            end: Box::pin(sleep_until(deadline)),
            _place: place,
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
            None => return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None)))),
        }
        Poll::Ready(Some(Ok(frame)))
    }
}
