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
use hyper::body::Incoming;

/// A client's body without its trailers: those are headers that nobody looked at, and some upstreams merge them with
/// the ones that the gateway has set (RFC 9110, section 6.5.1).
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    progress: Progress,
}

impl RequestBody {
    /// A body, and a way to see it move.
    pub(crate) fn new(incoming: Incoming) -> (Self, Progress) {
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

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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
