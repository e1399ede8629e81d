//! The byte stream of a client. It records whether the client reads what it is sent, and it closes in a way that lets
//! the client read the last response.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use portcullis_wire::framing::ConnectionState;
use portcullis_wire::framing::ObservedStream;
use portcullis_wire::framing::Reading;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use super::activity::Activity;

/// A stream that records its activity.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    stream: ObservedStream<S>,
    seen: Arc<ConnectionState>,
    activity: Arc<Activity>,
    ended: bool,
}

impl<S> ClientStream<S> {
    pub(super) fn new(stream: ObservedStream<S>, seen: Arc<ConnectionState>, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            seen,
            activity,
            ended: false,
        }
    }

    fn record<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending => self.activity.write_blocked(),
            Poll::Ready(_) => self.activity.write_progressed(),
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.record(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.record(outcome)
    }

    /// Closes the sending side, then reads and drops the rest of an unfinished request. If the socket were closed while
    /// the client is still sending, it would be reset, and the client could lose the response (RFC 9112, section 9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.record(outcome))?;
            self.ended = true;
        }
        while matches!(self.seen.reading(), Reading::Body | Reading::Head | Reading::Lost) {
            self.activity.draining_started();
            let mut discarded = [0; 8192];
            let mut discarded = ReadBuf::new(&mut discarded);
            let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, &mut discarded));
            if outcome.is_err() || discarded.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.record(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
