//! A request's body on its way to the upstream. It streams as the client sends it, and shows that it moves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;

use crate::serve::body::ClientBody;

/// A client's body without its trailers: those are headers that nobody looked at, and some upstreams merge them with
/// the ones that the gateway has set (RFC 9110, section 6.5.1).
#[derive(Debug)]
pub(crate) struct RequestBody<B = ClientBody> {
    incoming: B,
    progress: Progress,
}

impl<B> RequestBody<B> {
    /// A body, and a way to see it move.
    pub(crate) fn new(incoming: B) -> (Self, Progress) {
        let progress = Progress::default();
        (
            Self {
                incoming,
                progress: progress.clone(),
            },
            progress,
        )
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(context));
        self.progress.step();
        Poll::Ready(frame.filter(|frame| !frame.as_ref().is_ok_and(Frame::is_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// How far a body has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// Says that the body moved.
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that changes when the body moves.
    pub(crate) fn mark(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http::HeaderMap;
    use http_body_util::BodyExt;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn a_body_arrives_without_its_trailers_and_is_seen_to_move() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-forwarded-user", "mallory".parse().unwrap());
        let frames = [Frame::data(Bytes::from("hello")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
        let (body, progress) = RequestBody::new(StreamBody::new(stream::iter(frames)));
        let before = progress.mark();
        let arrived = body.collect().await.unwrap();
        assert_eq!(arrived.trailers(), None);
        assert_eq!(arrived.to_bytes(), "hello");
        assert_ne!(progress.mark(), before);
    }
}
