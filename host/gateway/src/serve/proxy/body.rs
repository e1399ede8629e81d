//! Bodies on their way through the proxy. They stream as the other side sends them, and show that they move.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::Version;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Either;
use http_body_util::Empty;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio::time::Sleep;

use crate::serve::body::ClientBody;

use super::expect::Hold;
use super::trailers::Forbidden;
use super::trailers::clean_response;

type BoxError = Box<dyn Error + Send + Sync>;

/// A client's body, on its way to an upstream. Its trailers are left out unless the connection is for them: they are
/// headers that nobody looked at, and over HTTP/1.1 some upstreams merge them with the ones that the gateway has set
/// (RFC 9110, section 6.5.1).
#[derive(Debug)]
pub(crate) struct RequestBody<B = Either<ClientBody, Empty<Bytes>>> {
    incoming: B,
    progress: Progress,
    /// The client waits for leave to send it.
    hold: Option<Hold>,
    /// What no trailer may be; none: none passes.
    trailers: Option<Arc<Forbidden>>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(incoming: B, progress: Progress) -> Self {
        Self {
            incoming,
            progress,
            hold: None,
            trailers: None,
        }
    }

    /// Holds it back until the upstream wants it. None: it is not held back any more.
    pub(super) fn hold(&mut self, hold: Option<Hold>) {
        self.hold = hold;
    }

    /// Says which trailers may not pass. None: none may.
    pub(super) fn trailers(&mut self, forbidden: Option<Arc<Forbidden>>) {
        self.trailers = forbidden;
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(hold) = &mut self.hold {
            let leave = ready!(Pin::new(hold).poll(context));
            self.hold = None;
            if let Err(error) = leave {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        self.progress.waits_for_client(frame.is_pending());
        let frame = ready!(frame);
        self.progress.step();
        let forbidden = self.trailers.as_ref();
        Poll::Ready(match frame {
            Some(Ok(frame)) => pass(frame, |trailers| match forbidden {
                Some(forbidden) => forbidden.clean_request(trailers),
                None => trailers.clear(),
            })
            .map(Ok),
            Some(Err(error)) => Some(Err(error.into())),
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

/// A frame with clean trailers. None: there are none left, and that is the end.
fn pass(frame: Frame<Bytes>, clean: impl FnOnce(&mut HeaderMap)) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        }
        Err(frame) => Some(frame),
    }
}

/// An upstream's body, on its way to a client. It breaks off when neither body has moved for too long.
#[derive(Debug)]
pub(crate) struct ResponseBody<B = Incoming, G = super::Exchange> {
    incoming: B,
    stillness: Stillness,
    /// Whether it says that it is whole, so that it isn't where it doesn't say so: hyper takes a stream of HTTP/2 that is
    /// reset without an error for one that ended.
    says_its_end: bool,
    /// What the exchange takes; given back with the body.
    _exchange: G,
}

impl<B, G> ResponseBody<B, G> {
    pub(super) fn new(incoming: B, progress: Progress, limit: Duration, exchange: G) -> Self {
        Self {
            incoming,
            stillness: Stillness::new(progress, limit),
            says_its_end: false,
            _exchange: exchange,
        }
    }

    /// As it came in a response of this version.
    pub(super) fn of_version(mut self, version: Version) -> Self {
        self.says_its_end = version == Version::HTTP_2;
        self
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin, G: Unpin> Body for ResponseBody<B, G> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            ready!(self.stillness.poll(context));
            tracing::warn!("an exchange was broken off: nothing moved for the idle_timeout of its upstream");
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        };
        self.stillness.progress.step();
        Poll::Ready(match frame {
            Some(Ok(frame)) => pass(frame, clean_response).map(Ok),
            Some(Err(error)) => Some(Err(error.into())),
            None if self.says_its_end && !self.incoming.is_end_stream() => {
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

/// How far bodies have come, and whose turn it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Moves>);

#[derive(Debug, Default)]
struct Moves {
    count: AtomicUsize,
    client_is_next: AtomicBool,
}

impl Progress {
    /// Says that something moved.
    pub(super) fn step(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that changes when something moves.
    pub(crate) fn mark(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Says whether it is the client that is waited for. Its body has a time of its own then.
    fn waits_for_client(&self, waits: bool) {
        self.0.client_is_next.store(waits, Ordering::Relaxed);
    }

    /// Whether it is the client that is waited for.
    pub(super) fn is_the_clients(&self) -> bool {
        self.0.client_is_next.load(Ordering::Relaxed)
    }
}

/// Ready once nothing has moved for as long as a limit.
#[derive(Debug)]
struct Stillness {
    progress: Progress,
    limit: Duration,
    seen: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stillness {
    fn new(progress: Progress, limit: Duration) -> Self {
        Self {
            seen: progress.mark(),
            progress,
            limit,
            timer: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        loop {
            let mark = self.progress.mark();
            if mark != self.seen {
                self.seen = mark;
                timer.as_mut().reset(Instant::now() + limit);
            }
            ready!(timer.as_mut().poll(context));
            if self.progress.mark() == self.seen {
                return Poll::Ready(());
            }
        }
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

    #[tokio::test]
    async fn a_body_arrives_without_its_trailers_and_is_seen_to_move() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-forwarded-user", "mallory".parse().unwrap());
        let frames = [Frame::data(Bytes::from("hello")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
        let progress = Progress::default();
        let body = RequestBody::new(StreamBody::new(stream::iter(frames)), progress.clone());
        let before = progress.mark();
        let arrived = body.collect().await.unwrap();
        assert_eq!(arrived.trailers(), None);
        assert_eq!(arrived.to_bytes(), "hello");
        assert_ne!(progress.mark(), before);
    }

    /// A body of ten frames with these pauses, and how many of them arrive.
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
    async fn a_body_takes_the_time_that_it_needs_and_breaks_off_when_it_stands_still() {
        assert_eq!(arrive(LIMIT * 9 / 10, Progress::default()).await, 10);
        assert_eq!(arrive(LIMIT * 11 / 10, Progress::default()).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_may_wait_while_its_request_moves() {
        let progress = Progress::default();
        let uploading = progress.clone();
        tokio::spawn(async move {
            for _ in 0..6 {
                tokio::time::sleep(LIMIT / 2).await;
                uploading.step();
            }
        });
        // One arrives while the request still moves, and the next would after it has stood still for too long.
        assert_eq!(arrive(LIMIT * 5 / 2, progress).await, 1);
    }
}
