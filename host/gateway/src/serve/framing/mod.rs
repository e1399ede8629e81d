//! A look at the heads of HTTP/1.1 requests before hyper reads them. hyper repairs what it can, and a program in front
//! of the gateway that repairs differently would see other requests in the same bytes (RFC 9112, section 11.2).

mod chunks;
mod requests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use self::requests::Requests;

/// Why a request could be read in two ways. It travels with the request, for the way of every other to refuse it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Doubt(pub(crate) &'static str);

/// What was seen on one connection.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The first doubtful request, counted from 1. There is no second, as the connection ends with it.
    first: OnceLock<(u64, Doubt)>,
    served: AtomicU64,
}

impl Seen {
    /// Whether the next request is in doubt. To be called once for each, in order.
    pub(crate) fn next(&self) -> Option<Doubt> {
        let request = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        let (first, doubt) = self.first.get()?;
        (*first <= request).then_some(*doubt)
    }
}

/// A client's stream whose requests are looked at as they come. Nothing is changed or held back.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    requests: Requests,
    seen: Arc<Seen>,
}

impl<S> Watched<S> {
    /// Watches a stream. No head of more than `longest` bytes is looked at; hyper takes none.
    pub(crate) fn new(stream: S, longest: usize) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let watched = Self {
            stream,
            requests: Requests::new(longest),
            seen: Arc::clone(&seen),
        };
        (watched, seen)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let received = buffer.filled().get(before..).unwrap_or_default();
        if let Some((request, why)) = self.requests.read(received) {
            // Only the first counts.
            let _ = self.seen.first.set((request, Doubt(why)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
