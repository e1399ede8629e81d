//! The body of a request as its client sends it. If the gateway answers before it has read the body, the rest of it is
//! read and dropped for a while.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// The body of a client's request.
///
/// Over HTTP/2, an unread body is discarded on drop, within bounds: hyper would reset the stream at once, which is
/// allowed (RFC 9113, section 8.1), but curl up to 8.1 then loses the response. Over HTTP/1.1 the connection does so
/// when it ends.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    /// `None` once it is discarded.
    incoming: Option<Incoming>,
    is_http2: bool,
}

impl ReceivedBody {
    pub(super) fn new(incoming: Incoming, version: Version) -> Self {
        Self {
            incoming: Some(incoming),
            is_http2: version == Version::HTTP_2,
        }
    }

    /// Reads the whole body, of so many bytes at most, within this time.
    pub(crate) async fn whole(self, most: usize, within: Duration) -> Result<Bytes, Unread> {
        let read = tokio::time::timeout(within, Limited::new(self, most).collect());
        let read = read.await.map_err(|_| Unread::Late)?;
        Ok(read.map_err(|_| Unread::BrokenOrTooLarge)?.to_bytes())
    }
}

/// Why a body can't be read as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unread {
    /// It broke off, or is larger than it may be.
    BrokenOrTooLarge,
    /// It did not arrive in time.
    Late,
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for ReceivedBody {
    fn drop(&mut self) {
        let unread = self.incoming.take().filter(|incoming| !incoming.is_end_stream());
        if let (true, Some(unread), Ok(runtime)) = (self.is_http2, unread, Handle::try_current()) {
            runtime.spawn(discard(unread));
        }
    }
}

/// Reads a body to its end, or until a bound is reached.
async fn discard(mut body: Incoming) {
    let mut left = MAX_DISCARDED;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Dropping the body resets the stream.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, all).await;
}

/// As long as an HTTP/1.1 connection takes to end.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes of a body are discarded.
const MAX_DISCARDED: usize = 64 << 20;
