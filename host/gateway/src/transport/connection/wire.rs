//! A client's stream: it notes whether the client takes what it is sent, and ends so that the client can read the last
//! answer.

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

use super::pace::Pace;

/// A stream that is looked at as it is read and written.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: ObservedStream<S>,
    seen: Arc<ConnectionState>,
    pace: Arc<Pace>,
    ended: bool,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: ObservedStream<S>, seen: Arc<ConnectionState>, pace: Arc<Pace>) -> Self {
        Self {
            stream,
            seen,
            pace,
            ended: false,
        }
    }

    fn noted<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending => self.pace.is_blocked(),
            Poll::Ready(_) => self.pace.moves(),
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.noted(outcome)
    }

    /// A socket that is closed while the client still sends is reset, and with the reset goes the answer that the client
    /// hasn't read yet (RFC 9112, section 9.6). So what belongs to a request that was given up is read and forgotten.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.noted(outcome))?;
            self.ended = true;
        }
        while matches!(self.seen.reading(), Reading::Body | Reading::Head | Reading::Lost) {
            self.pace.lingers();
            let mut forgotten = [0; 8192];
            let mut forgotten = ReadBuf::new(&mut forgotten);
            let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, &mut forgotten));
            if outcome.is_err() || forgotten.filled().is_empty() {
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
        self.noted(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
