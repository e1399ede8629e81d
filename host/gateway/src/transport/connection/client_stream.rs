//! The byte stream of a client. It records whether the client reads what it is sent, and it closes in a way that lets
//! the client read the last response.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Buf;
use bytes::Bytes;
use http::StatusCode;
use portcullis_wire::framing::ConnectionState;
use portcullis_wire::framing::ObservedStream;
use portcullis_wire::framing::Reading;
use portcullis_wire::framing::RejectedHead;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use super::activity::Activity;
use super::rejected_head::automatic_response;

/// Makes the response to a head that hyper rejects.
pub(super) type Reject = Box<dyn Fn(StatusCode, &RejectedHead) -> Bytes + Send>;

/// A stream that records its activity.
pub(super) struct ClientStream<S> {
    stream: ObservedStream<S>,
    seen: Arc<ConnectionState>,
    activity: Arc<Activity>,
    reject: Reject,
    /// What is sent instead of hyper's response to a rejected head. `None` while there is no such response.
    instead: Option<Bytes>,
    ended: bool,
}

impl<S> ClientStream<S> {
    pub(super) fn new(
        stream: ObservedStream<S>,
        seen: Arc<ConnectionState>,
        activity: Arc<Activity>,
        reject: Reject,
    ) -> Self {
        Self {
            stream,
            seen,
            activity,
            reject,
            instead: None,
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

impl<S: AsyncWrite + Unpin> ClientStream<S> {
    /// Writes the service's response in place of hyper's own, if `bytes` end with that one. Returns `None` if they don't.
    fn poll_write_instead(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            if !self.seen.may_reject() {
                return None;
            }
            let (before, status) = automatic_response(bytes)?;
            let response = (self.reject)(status, &self.stream.rejected()?);
            self.instead = Some([before, &response].concat().into());
        }
        let instead = self.instead.as_mut()?;
        while !instead.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, instead) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => instead.advance(written),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        Some(Poll::Ready(Ok(bytes.len())))
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
        ready!(self.activity.cork().poll_released(context));
        let outcome = match self.poll_write_instead(context, bytes) {
            Some(outcome) => outcome,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        };
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
        ready!(self.activity.cork().poll_released(context));
        let instead = if self.seen.may_reject() {
            let bytes = Vec::from_iter(parts.iter().flat_map(|part| part.iter().copied()));
            self.poll_write_instead(context, &bytes)
        } else {
            None
        };
        let outcome = match instead {
            Some(outcome) => outcome,
            None => Pin::new(&mut self.stream).poll_write_vectored(context, parts),
        };
        self.record(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
