//! The body of a response on its way to a client. It ends with an error if it is incomplete or makes no progress.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use hyper::body::Incoming;

use super::BoxError;
use super::Progress;
use super::filter_trailers;
use super::progress::IdleTimer;
use crate::proxy::Exchange;
use crate::proxy::trailers::clean_response;

/// The body of a response on its way to a client. It ends with an error if neither body of the exchange makes progress.
#[derive(Debug)]
pub(crate) struct ResponseBody<B = Incoming, G = Exchange> {
    incoming: B,
    idle_timer: IdleTimer,
    /// Whether a complete body is marked as such, so that an unmarked end is an error. hyper treats an HTTP/2 stream
    /// that was reset with `NO_ERROR` as complete.
    marks_end: bool,
    /// What the exchange occupies. It is released with the body.
    _exchange: G,
}

impl<B, G> ResponseBody<B, G> {
    pub(crate) fn new(incoming: B, progress: Progress, limit: Duration, exchange: G) -> Self {
        Self {
            incoming,
            idle_timer: IdleTimer::new(progress, limit),
            marks_end: false,
            _exchange: exchange,
        }
    }

    /// Sets the HTTP version of the response that the body belongs to.
    pub(crate) fn with_version(mut self, version: Version) -> Self {
        self.marks_end = version == Version::HTTP_2;
        self
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin, G: Unpin> Body for ResponseBody<B, G> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            ready!(self.idle_timer.poll(context));
            tracing::warn!("an exchange was cut off: there was no progress for the idle_timeout of its upstream");
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        };
        self.idle_timer.progress.step();
        Poll::Ready(match frame {
            Some(Ok(frame)) => filter_trailers(frame, clean_response).map(Ok),
            Some(Err(error)) => Some(Err(error.into())),
            None if self.marks_end && !self.incoming.is_end_stream() => {
                Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt;
    use futures_util::stream;
    use http_body_util::BodyExt;
    use http_body_util::StreamBody;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// How many frames arrive of a body that has ten, with these pauses between them.
    async fn arrive(pause: Duration, progress: Progress) -> usize {
        let frames = stream::iter(0..10).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from("x")))
        });
        let mut body = ResponseBody::new(StreamBody::new(Box::pin(frames)), progress, LIMIT, ());
        let mut count = 0;
        while let Some(Ok(_)) = body.frame().await {
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_ends_without_progress() {
        assert_eq!(arrive(LIMIT * 9 / 10, Progress::default()).await, 10);
        assert_eq!(arrive(LIMIT * 11 / 10, Progress::default()).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_may_pause_while_its_request_makes_progress() {
        let progress = Progress::default();
        let uploading = progress.clone();
        tokio::spawn(async move {
            for _ in 0..6 {
                tokio::time::sleep(LIMIT / 2).await;
                uploading.step();
            }
        });
        // The first frame arrives while the request still makes progress. The next one would arrive after the limit.
        assert_eq!(arrive(LIMIT * 5 / 2, progress).await, 1);
    }
}
